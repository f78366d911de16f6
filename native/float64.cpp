// The engine's float64 for one instruction set: a file of its own, so that all precisions are compiled at once.
#include "functions.hpp"

namespace memfold::MEMFOLD_ISA {

extern const Functions<double> float64;
const Functions<double> float64 = by_cell::functions<double, Full<double>>;

}  // namespace memfold::MEMFOLD_ISA
