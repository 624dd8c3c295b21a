package plugin_test

// costly are modules that took far more than an earlier estimate.
var costly = []struct {
	name string
	shape
}{
	{"globals and calls", shape{Globals: 2000, Parts: []part{{Kind: "call", N: 500}}}},
	{"globals and functions", shape{Globals: 8000}},
	{"types and functions", shape{Types: 16_000, TypeParams: 8}},
	{"types", shape{Types: 16_000, TypeParams: 60}},
	{"arguments and results", shape{Params: 256, Results: 256, Parts: []part{{Kind: "pass", N: 1, M: 500}}}},
	{"reads behind branches", shape{Params: 1, Parts: []part{{Kind: "block", N: 1, Inside: []part{{Kind: "br_if", N: 2000}, {Kind: "get", N: 8000}}}}}},
	{"reads where branches meet", shape{Params: 1, Locals: 100, Parts: []part{{Kind: "exits", N: 1, M: 1000}, {Kind: "get", N: 100}}}},
	{"addresses across calls", shape{Params: 1, Parts: []part{{Kind: "chase", N: 1, M: 5000}, {Kind: "call", N: 20_000}}}},
	{"locals in nested loops", shape{Locals: 30, Parts: []part{{Kind: "deep_loops", N: 1, M: 500, Inside: []part{{Kind: "get", N: 30}}}}}},
	{"nothing behind many blocks", shape{Empty: 20_000, Parts: []part{{Kind: "if", N: 3000}}}},
	{"nothing behind many conditions", shape{Empty: 20_000, Parts: []part{{Kind: "if", N: 6000}}}},
	{"functions with many parameters and results", shape{Params: 256, Results: 256, Parts: []part{{Kind: "gset", N: 1}}}},
	{"operands behind branches", shape{Types: 16_000, TypeParams: 8, Locals: 64, Parts: []part{{Kind: "exits", N: 102, M: 9, Inside: []part{{Kind: "stack", N: 64, M: 281}}}}}},
	{"division", shape{Parts: []part{{Kind: "op", N: 5000, M: 40}}}},
	{"a row of divisions", shape{Parts: []part{{Kind: "ops", N: 500, M: 40}}}},
	{"nests of loops", shape{Locals: 6, Parts: []part{{Kind: "deep_loops", N: 21, M: 235}}}},
	{"small nests of loops", shape{Locals: 6, Parts: []part{{Kind: "deep_loops", N: 128, M: 25}}}},
	{"nests of conditions", shape{Parts: []part{{Kind: "deep_ifs", N: 30, M: 300}}}},
	{"memory.fill", shape{Params: 2, Results: 2, Locals: 4, Parts: []part{{Kind: "mfill", N: 1024}, {Kind: "grow", N: 1}, {Kind: "round", N: 192}}}},
	{"stores of globals before calls", shape{Params: 256, Results: 256, Parts: []part{{Kind: "gset", N: 3584}, {Kind: "pass", N: 4, M: 500}}}},
}
