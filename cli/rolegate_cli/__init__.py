"""The operator's command `rolegate`."""
