"""Rolegate's speed as ratios: each against something that is measured in the same run, for machines differ."""
