"""Health, alerts, metrics, logs."""
