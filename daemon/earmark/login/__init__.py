"""What of this machine a connection to a broker or server needs: secrets in files, certificates, a name."""
