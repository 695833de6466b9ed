"""Rolegate: sign-in, refresh and role enforcement for APIs on AWS."""
