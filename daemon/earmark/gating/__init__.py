"""Gates: where sounds of interest begin and end, by their level or by voice activity detection."""
