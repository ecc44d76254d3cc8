"""`earmark route`: programs, webhooks, MQTT messages and notifications for the labels that a daemon hears."""
