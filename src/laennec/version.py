"""The one place that holds the version, and what every result says."""

__version__ = "0.1.0"
DISCLAIMER = "Research software, not a medical device."
