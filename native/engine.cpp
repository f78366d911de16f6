// The engine for one instruction set. CMake compiles this file once for each, beside float32.cpp and float64.cpp.
#include "cells.hpp"
#include "fingerprint.hpp"
#include "peak.hpp"

namespace memfold::MEMFOLD_ISA {

extern const Functions<float> float32;
extern const Functions<double> float64;

#define MEMFOLD_TEXT_OF(name) #name
#define MEMFOLD_TEXT(name) MEMFOLD_TEXT_OF(name)

extern const Engine engine;
const Engine engine = {MEMFOLD_TEXT(MEMFOLD_ISA), traits, &float32, &float64, fingerprint, spend_operations};

}  // namespace memfold::MEMFOLD_ISA
