"""From scores per window to labels that go on and off, with reasons.

Times and durations are whole milliseconds in the source's stream: events tell milliseconds, the settings of durations
are no finer, and integers compare exactly, however long the stream is. Samples would not do: one rule holds for sources
and models of any rate. The caller makes them from sample positions; nothing here reads a clock.
Scores come as (labels,) arrays in the order of `labels`: probabilities, and values, such as an age, of a regression.
"""
