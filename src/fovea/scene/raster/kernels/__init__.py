"""The compiled loops of the cpu twin, as sources: `compiled.py` copies, compiles and imports them.

They know arrays only. A kernel does one `part` of `parts` of the work, holds no lock, and writes
where no other part writes, so its result does not depend on how many threads share the parts.
"""
