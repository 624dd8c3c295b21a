#!/bin/sh
# Builds the base guests, every mutant that faults.h lists and every design that
# designs.h does:
#   build.sh DIR [NAME…]     into DIR; all of them unless some are named
# CLANG and WASM_LD name the compiler and the linker, which must be of version 19
# for the same bytes (Debian: clang-19 and lld-19).
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd); shift
cd "$(dirname "$0")"
listed() { sed -n "/^enum /,\$s/^	\\([a-z0-9_]*\\),.*/\\1/p" "$1"; }
designs=$(listed designs.h)
[ $# -gt 0 ] || set -- $(listed faults.h) $designs
for name; do
	case $name in file_*) files=-DFILES fault=file_base;; *) files= fault=base;; esac
	case $name in *batch_*) files="$files -DBATCH";; esac
	case " $(echo $designs) " in
	*" $name "*) source=designs.c what="-DMUTANT=$fault -DDESIGN=$name -DDESIGN_$name";;
	*) source=guest.c what="-DMUTANT=$name";;
	esac
	${CLANG:-clang-19} --target=wasm32 -mcpu=mvp -mbulk-memory -mmutable-globals -std=c17 -Os -Wall -Wextra -Werror \
		-Wno-unused-function -Wno-unused-variable -Wno-unused-but-set-variable -ffreestanding -nostdlib \
		$what $files -c $source -o "$out/$name.o"
	${WASM_LD:-wasm-ld-19} --no-entry --strip-all -z stack-size=8192 --allow-undefined "$out/$name.o" -o "$out/$name.wasm"
	rm "$out/$name.o"
done
