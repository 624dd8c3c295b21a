#!/bin/sh
# Builds the base guests and every mutant that faults.h lists:
#   build.sh DIR [NAME…]     into DIR; all of them unless some are named
# CLANG and WASM_LD name the compiler and the linker, which must be of version 19
# for the same bytes (Debian: clang-19 and lld-19).
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd); shift
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- $(sed -n '/^enum fault/,$s/^	\([a-z0-9_]*\),.*/\1/p' faults.h)
for name; do
	case $name in file_*) files=-DFILES;; *) files=;; esac
	${CLANG:-clang-19} --target=wasm32 -mcpu=mvp -mbulk-memory -mmutable-globals -std=c17 -Os -Wall -Wextra -Werror \
		-Wno-unused-function -Wno-unused-variable -Wno-unused-but-set-variable -ffreestanding -nostdlib \
		-DMUTANT="$name" $files -c guest.c -o "$out/$name.o"
	${WASM_LD:-wasm-ld-19} --no-entry --strip-all -z stack-size=8192 --allow-undefined "$out/$name.o" -o "$out/$name.wasm"
	rm "$out/$name.o"
done
