"""Make the recording that `earmarkd --demo` plays."""
