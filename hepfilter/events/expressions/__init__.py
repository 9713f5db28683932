"""Selection expressions: one condition an event, spelled as in ROOT or as in Python, over the branches of a tree.

>>> expression = parse_expression("nMuon >= 2 && Muon_pt[0] > 25 && Sum$(Jet_pt > 30) >= 4", tree.keys())
>>> passed = expression.passes(columns, count)  # columns: one Column for each of expression.branches

What may be written, loosest first:

    c ? a : b
    a || b, a or b
    a && b, a and b
    not a                            before a comparison only with parentheses: not (a > 1)
    a | b        a & b               logical on conditions, bit by bit on whole numbers
    < <= > >= == !=                  no chains: 2 < n && n < 5
    a << b, a >> b
    a + b, a - b
    a * b, a / b, a % b
    -a, +a, !a, ~a
    a ** b
    x[i], x[condition], f(…), (…)    numbers: 12, 0x1F, 1.5, 1e-3; true, false, True, False; names of branches

Of numbers: abs fabs sqrt exp log log10 pow sin cos tan asin acos atan atan2 sinh cosh tanh floor ceil fmod hypot, min
and max of two or more, also as std::… or TMath::Sqrt and the like, and TMath::Pi(). Over the objects of an event:
Sum$ Max$ Min$ Length$ MaxIf$(x, c) MinIf$(x, c), or Sum Max Min Mean Any All, or sum mean any all len size. By
object: Take(x, i), Alt$(x, y), DeltaPhi(φ₁, φ₂) = φ₂ − φ₁, DeltaR(η₁, η₂, φ₁, φ₂), and InvariantMass(pt, η, φ, m) of
all objects together, as in ROOT::VecOps. A name with dots is a branch if the tree has it; attributes and methods do
not exist.

What it means:

- A branch has one value an event or one per object. Operations go object by object; a value of the event goes with
  every object. Lists of different lengths are an error. The whole must be one value an event: it passes if it is
  true, or a number other than 0.
- ``x[i]`` counts from 0. Where there is no such object the value is *missing*, and so is all that is computed from
  it, with Kleene's logic: ``missing || true`` is true, ``missing && false`` false, ``!missing`` missing. At the top
  missing does not pass; in a mask, ``x[c]``, it does not select. ``Max$``, ``Min$`` and ``Mean`` of no objects are
  missing, their ``Sum$`` and ``Length$`` are 0, ``Any`` is false, ``All`` true. ``Alt$(x, y)`` is y where x is
  missing.
- Arithmetic is in double, ``/`` too, so nothing overflows, and whole numbers are exact up to 2⁵³. float32 is made
  double before it is compared. Integers as they are in a branch, literals, and what ``[ ]``, ``?:``, ``Max$``,
  ``max``, ``%`` and the bit operators make of them keep 64 bits, and compare exactly, unsigned with signed ones as in
  mathematics.
- ``1 / 0`` is infinite, ``0 / 0`` NaN; a comparison with NaN is false (``!=`` true). NaN as a condition, and ``a %
  0``, are missing. ``%`` has the sign of a.
- Where ROOT, C++ and Python would read a text differently it is refused: ``a > 1 & b``, ``not a == b``, ``a ** b **
  c``, ``a ^ b``, ``x[-1]``, ``010``.
"""

from hepfilter.events.expressions.parsing import parse_expression
from hepfilter.events.expressions.program import Expression
from hepfilter.events.expressions.values import Column

__all__ = ["Column", "Expression", "parse_expression"]
