"""Settings by place: local (a laptop), test, production. Each says only what differs from `base`."""
