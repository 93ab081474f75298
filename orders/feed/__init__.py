"""What happened to orders and cards, sent to those who have to know. See docs/webhooks.md."""
