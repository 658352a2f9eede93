"""Background work: outbox and reactions, lanes, queued jobs, schedules, the worker."""
