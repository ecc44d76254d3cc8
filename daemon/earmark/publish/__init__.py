"""What the daemon hears, sent to brokers: topics, retained states, and Home Assistant's discovery."""
