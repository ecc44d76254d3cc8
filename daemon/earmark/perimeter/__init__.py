"""What stands between the port and strangers: the certificate, proxies, wrong tokens, and the count of refusals."""
