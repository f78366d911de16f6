"""What the tasks that hear share: log-mel frames to features at a lower rate, offline and step by step."""
