"""What stands between the port and strangers: the certificate, renewed as it runs."""
