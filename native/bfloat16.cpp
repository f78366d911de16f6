// The engine's bfloat16 for one instruction set: a file of its own, so that all precisions are compiled at once.
#include "functions.hpp"

namespace memfold::MEMFOLD_ISA {

extern const Functions<float> bfloat16;
const Functions<float> bfloat16 = by_cell::functions<float, Half>;

}  // namespace memfold::MEMFOLD_ISA
