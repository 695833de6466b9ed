"""What is kept outside: users and sessions in DynamoDB, key rings in Secrets Manager, public keys in SSM."""
