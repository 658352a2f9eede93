"""What the channels room counts."""

from __future__ import annotations

from entrepot.monitoring import metrics

calls = metrics.counter("channel_calls", "Calls to channels by how they ended", ("channel", "operation", "outcome"))
call_seconds = metrics.histogram(
    "channel_call_seconds", "Time of calls to channels, waits and retries included", ("channel", "operation")
)
retries = metrics.counter("channel_retries", "Attempts after the first", ("channel", "operation"))
rate_waits = metrics.histogram(
    "channel_rate_wait_seconds", "Time that calls waited for the channel's rate limit", ("channel",)
)
token_refreshes = metrics.counter("channel_token_refreshes", "Access tokens fetched", ("channel", "outcome"))
webhooks = metrics.counter("webhooks_received", "Webhook deliveries by what became of them", ("channel", "outcome"))
webhook_batch = metrics.histogram(
    "webhook_batch_size", "Deliveries stored in one transaction", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
