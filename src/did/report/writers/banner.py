"""What every output of made-up data says."""

SYNTHETIC = ("SYNTHETIC DATA. These results come from made-up data in the publishers' formats. They say nothing about "
             "any real place or policy.")
