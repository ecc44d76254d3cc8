"""From events to subscribers: numbering, filters, backlogs and outputs."""
