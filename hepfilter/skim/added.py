"""The branches that a skim adds; those of an older skim are replaced."""

from hepfilter.io.writing import Column

INTEREST = Column("HepFilter_interest", "float32", "hepfilter: log-odds that the event is interesting")
PASSED = Column("HepFilter_passed", "bool", "hepfilter: the event passed the selection")
ENTRY = Column("HepFilter_entry", "int64", "hepfilter: the event's entry in the file that it comes from")
