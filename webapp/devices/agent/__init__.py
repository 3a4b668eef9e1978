"""The device agent: measures networks on the device it runs on, for a server that asks for it."""
