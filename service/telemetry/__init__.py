"""What the service tells its operators: one recorder feeds spans, metrics, log lines and `Server-Timing`."""
