# For tests/native/sanitize and tests/native/cross: builds the engine and its tests without Python. To be sourced.
strict="-std=c++20 -Wall -Wextra -Werror=switch -fno-math-errno -fno-trapping-math -ffp-contract=fast -Inative"

# build FOLDER COMPILER ISAS FLAGS... makes engine_test and pool_test in the folder; LIBRARIES are linked to them.
build() {
    folder=$1 compiler=$2 isas=$3
    shift 3
    mkdir -p "$folder"
    objects=
    jobs=
    for isa in $isas; do
        parts="engine float32 float64 bfloat16"
        case $isa in
            neon) march= ;;
            neon_bf16) march=-march=armv8.2-a+bf16 parts=bfloat16 ;;
            v4_bf16) march="-march=x86-64-v4 -mavx512bf16" parts=bfloat16 ;;
            *) march=-march=x86-64-$isa ;;
        esac
        for part in $parts; do
            $compiler $strict "$@" $march -DMEMFOLD_ISA="$isa" -c "native/$part.cpp" -o "$folder/$isa.$part.o" &
            jobs="$jobs $!"
            objects="$objects $folder/$isa.$part.o"
        done
    done
    $compiler $strict "$@" -c tests/native/engine_test.cpp -o "$folder/engine_test.o"
    $compiler $strict "$@" tests/native/pool_test.cpp -o "$folder/pool_test" ${LIBRARIES--pthread -ldl}
    for job in $jobs; do wait "$job"; done
    $compiler $strict "$@" "$folder/engine_test.o" $objects -o "$folder/engine_test" ${LIBRARIES--pthread -ldl}
}
