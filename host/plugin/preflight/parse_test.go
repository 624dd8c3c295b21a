package preflight_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

var magic = string(wasmbin.AppendHeader(nil))

func section(id byte, content string) string { return string(wasmbin.AppendSection(nil, id, content)) }

// function makes a module with one function of type () -> () and that body.
func function(body string) string {
	return magic + section(1, "\x01\x60\x00\x00") + section(3, "\x01\x00") +
		section(10, string(wasmbin.AppendItems(nil, []wasmbin.Body{wasmbin.Body(body)})))
}

func TestRefused(t *testing.T) {
	const (
		bad     = 1
		feature = 2
		big     = 3
		foreign = 4
	)
	table := magic + "\x04\x04\x01\x70\x00\x02"
	memory := magic + "\x05\x03\x01\x00\x01"
	kinds := map[int]error{bad: preflight.ErrMalformed, feature: preflight.ErrFeature, big: preflight.ErrTooBig, foreign: preflight.ErrNotWasm}
	for name, c := range map[string]struct {
		module string
		kind   int
		says   string
	}{
		"empty":                       {"", foreign, `begins with ""`},
		"component":                   {"\x00asm\x0d\x00\x01\x00", foreign, "component"},
		"version":                     {"\x00asm\x03\x00\x00\x00", foreign, "03 00 00 00"},
		"section without size":        {magic + "\x01", bad, "byte 9"},
		"section longer than file":    {magic + "\x01\x7f", bad, "127 bytes"},
		"size above 32 bits":          {magic + "\x01\xff\xff\xff\xff\x1f", bad, "32 bits"},
		"size in six bytes":           {magic + "\x01\x80\x80\x80\x80\x80\x00", bad, "32 bits"},
		"unknown section":             {magic + section(14, ""), bad, "number 14"},
		"tag section":                 {magic + section(13, "\x00"), feature, "exceptions"},
		"section twice":               {magic + section(1, "\x00") + section(1, "\x00"), bad, "twice or too late"},
		"sections out of order":       {magic + section(3, "\x00") + section(1, "\x00"), bad, "type section"},
		"data count too late":         {magic + section(10, "\x00") + section(12, "\x00"), bad, "data count"},
		"more than a section holds":   {magic + section(1, "\x00\x00"), bad, "belong to nothing"},
		"less than a section says":    {magic + section(1, "\x02\x60\x00\x00"), bad, "section type"},
		"types without end":           {magic + section(1, "\xff\xff\xff\xff\x0f"), big, "4294967295 types"},
		"struct type":                 {magic + section(1, "\x01\x5f\x00"), feature, "0x5f"},
		"recursive types":             {magic + section(1, "\x01\x4e\x00"), feature, "0x4e"},
		"reference parameter":         {magic + section(1, "\x01\x60\x01\x6f\x00"), feature, "0x6f"},
		"unknown type":                {magic + section(1, "\x01\x60\x01\x01\x00"), bad, "0x01"},
		"import of a table":           {magic + section(2, "\x01\x01a\x01b\x01\x70\x00\x00"), feature, `table, "a"."b"`},
		"import of a tag":             {magic + section(2, "\x01\x01a\x01b\x04\x00\x00"), feature, "tag"},
		"import of unknown kind":      {magic + section(2, "\x01\x01a\x01b\x09\x00"), bad, "0x09"},
		"import without type":         {magic + section(2, "\x01\x01a\x01b\x00\x00"), bad, "type 0: there is none"},
		"name that is not UTF-8":      {magic + section(2, "\x01\x01\xff\x01b\x00\x00"), bad, "UTF-8"},
		"name without end":            {magic + section(7, "\x01\xff\xff\xff\xff\x0f"), big, "bytes of a name"},
		"function without type":       {magic + section(1, "\x01\x60\x00\x00") + section(3, "\x01\x01"), bad, "type 1: must be below 1"},
		"function without code":       {magic + section(1, "\x01\x60\x00\x00") + section(3, "\x01\x00"), bad, "0 functions have code: must be 1"},
		"code without function":       {magic + section(10, "\x01\x02\x00\x0b"), bad, "1 functions have code: must be 0"},
		"two tables":                  {magic + section(4, "\x02\x70\x00\x00\x70\x00\x00"), feature, "2 tables"},
		"table of references":         {magic + section(4, "\x01\x6f\x00\x00"), feature, "0x6f"},
		"table with initialiser":      {magic + section(4, "\x01\x40\x00\x70\x00\x00"), feature, "0x40"},
		"huge table":                  {magic + section(4, "\x01\x70\x00\xff\xff\xff\xff\x0f"), big, "262144"},
		"shared table":                {magic + section(4, "\x01\x70\x03\x00\x01"), feature, "shared table"},
		"two memories":                {magic + section(5, "\x02\x00\x00\x00\x00"), feature, "2 memories"},
		"shared memory":               {magic + section(5, "\x01\x03\x01\x01"), feature, "shared memory"},
		"64-bit memory":               {magic + section(5, "\x01\x04\x01"), feature, "64-bit memory"},
		"unknown limits":              {magic + section(5, "\x01\x08\x01"), bad, "0x08"},
		"memory turned around":        {magic + section(5, "\x01\x01\x02\x01"), bad, "at least 2 and at most 1"},
		"memory of 65537 pages":       {magic + section(5, "\x01\x00\x81\x80\x04"), bad, "65537"},
		"global of unknown kind":      {magic + section(6, "\x01\x7f\x02\x41\x00\x0b"), bad, "mutability"},
		"global with a sum":           {magic + section(6, "\x01\x7f\x00\x41\x00\x41\x00\x6a\x0b"), feature, "constant expression"},
		"globals without end":         {magic + section(6, "\xff\xff\xff\xff\x0f"), big, "globals"},
		"export twice":                {magic + section(5, "\x01\x00\x00") + section(7, "\x02\x01a\x02\x00\x01a\x02\x00"), bad, `second export named "a"`},
		"export of no memory":         {magic + section(7, "\x01\x01a\x02\x00"), bad, "memory 0"},
		"export of no table":          {magic + section(7, "\x01\x01a\x01\x00"), bad, "table 0"},
		"export of no function":       {magic + section(7, "\x01\x01a\x00\x00"), bad, "function 0"},
		"export of no global":         {magic + section(7, "\x01\x01a\x03\x00"), bad, "global 0"},
		"export of unknown kind":      {magic + section(7, "\x01\x01a\x07\x00"), bad, "0x07"},
		"elements without end":        {table + section(9, "\x01\x00\x41\x00\x0b\xff\xff\xff\xff\x0f"), big, "entries"},
		"elements of references":      {magic + section(9, "\x01\x05\x6f\x00"), feature, "0x6f"},
		"elements of unknown kind":    {magic + section(9, "\x01\x08"), bad, "kind 8"},
		"elements of table 1":         {magic + section(9, "\x01\x02\x01\x41\x00\x0b\x00\x00"), feature, "number 1"},
		"data without end":            {magic + section(11, "\x01\x01\xff\xff\xff\xff\x0f"), bad, "4294967295 bytes"},
		"data of unknown kind":        {magic + section(11, "\x01\x03\x00"), bad, "kind 3"},
		"passive elements":            {table + section(9, "\x01\x01\x00\x00"), feature, "passive"},
		"declarative elements":        {table + section(9, "\x01\x03\x00\x00"), feature, "passive"},
		"passive expressions":         {table + section(9, "\x01\x05\x70\x01\xd0\x70\x0b"), feature, "passive"},
		"declarative expressions":     {table + section(9, "\x01\x07\x70\x00"), feature, "passive"},
		"elements of no function":     {table + section(9, "\x01\x00\x41\x00\x0b\x01\x05"), bad, "function 5"},
		"elements that refer to none": {table + section(9, "\x01\x04\x41\x00\x0b\x01\xd2\x05\x0b"), bad, "function 5"},
		"elements that are numbers":   {table + section(9, "\x01\x04\x41\x00\x0b\x01\x41\x00\x0b"), bad, "gives i32: must give funcref"},
		"elements without a table":    {magic + section(9, "\x01\x00\x41\x00\x0b\x00"), bad, "no table"},
		"elements beyond the table":   {table + section(9, "\x01\x00\x41\x03\x0b\x00"), bad, "at 3: must lie within the table, which has 2"},
		"elements far beyond":         {table + section(9, "\x01\x00\x41\x7f\x0b\x00"), bad, "4294967295"},
		"elements at an i64":          {table + section(9, "\x01\x00\x42\x00\x0b\x00"), bad, "gives i64: must give i32"},
		"elements at a global":        {table + section(9, "\x01\x00\x23\x00\x0b\x00"), bad, "global 0"},
		"global of another type":      {magic + section(6, "\x01\x7e\x00\x41\x00\x0b"), bad, "gives i32: must give i64"},
		"global from another":         {magic + section(6, "\x02\x7f\x00\x41\x00\x0b\x7f\x00\x23\x00\x0b"), bad, "must be an imported one"},
		"global of nothing":           {magic + section(6, "\x01\x7f\x00\x0b"), bad, "empty"},
		"global of a function":        {magic + section(6, "\x01\x7f\x00\xd2\x00\x0b"), bad, "function 0"},
		"data without memory":         {magic + section(11, "\x01\x00\x41\x00\x0b\x00"), bad, "no memory"},
		"data beyond the memory":      {memory + section(11, "\x01\x00\x41\xff\xff\x03\x0b\x02ab"), bad, "at byte 65535: must lie within the memory, which has 1 pages"},
		"data at an f32":              {memory + section(11, "\x01\x00\x43\x00\x00\x00\x00\x0b\x00"), bad, "gives f32"},
		"data that was not counted":   {memory + section(12, "\x02") + section(11, "\x01\x01\x00"), bad, "must be 2, as the data count section says"},
		"data that is not there":      {memory + section(12, "\x02"), bad, "must be 2, as the data count section says"},
		"local that is not there":     {function("\x01\x02\x7f\x20\x02\x1a\x0b"), bad, "local 2: must be below 2"},
		"global that is not there":    {function("\x00\x23\x00\x1a\x0b"), bad, "global 0: there is none"},
		"call of nothing":             {function("\x00\x10\x01\x0b"), bad, "function 1: must be below 1"},
		"branch to nothing":           {function("\x00\x02\x40\x0c\x02\x0b\x0b"), bad, "label 2: must be below 2"},
		"branch table to nothing":     {function("\x00\x41\x00\x0e\x01\x00\x01\x0b"), bad, "label 1: must be below 1"},
		"block of no type":            {function("\x00\x02\x01\x0b\x0b"), bad, "a block's type 1: must be below 1"},
		"else of a block":             {function("\x00\x02\x40\x05\x0b\x0b"), bad, "else"},
		"else of a function":          {function("\x00\x05\x0b"), bad, "else"},
		"global that cannot be set": {magic + section(1, "\x01\x60\x00\x00") + section(3, "\x01\x00") + section(6, "\x01\x7f\x00\x41\x00\x0b") +
			section(10, "\x01\x06\x00\x41\x00\x24\x00\x0b"), bad, "global 0 is set"},
		"second else":                 {function("\x00\x41\x00\x04\x40\x05\x05\x0b\x0b"), bad, "else"},
		"load without memory":         {function("\x00\x41\x00\x28\x00\x00\x1a\x0b"), bad, "memory"},
		"call without a table":        {function("\x00\x41\x00\x11\x00\x00\x0b"), bad, "table"},
		"copy without a table":        {function("\x00\x41\x00\x41\x00\x41\x00\xfc\x0e\x00\x00\x0b"), bad, "table"},
		"memory.init without a count": {function("\x00\x41\x00\x41\x00\x41\x00\xfc\x08\x00\x00\x0b"), bad, "data count section"},
		"drop of no elements":         {function("\x00\xfc\x0d\x00\x0b"), bad, "element segment 0"},
		"unknown vector instruction":  {function("\x00\xfd\x9a\x01\x0b"), bad, "0xfd 154"},
		"lane that is not there":      {function("\x00\xfd\x15\x10\x1a\x0b"), bad, "lane 16: must be below 16"},
		"select with types":           {function("\x00\x1c\x01\x7f\x0b"), feature, "reference types"},
		"custom without name":         {magic + section(0, ""), bad, "custom"},
		"custom name too long":        {magic + section(0, "\x05ab"), bad, "5 bytes"},
		"names twice":                 {magic + section(0, "\x04name") + section(0, "\x04name"), bad, "second name"},
		"names without end":           {magic + section(0, "\x04name\x01\x05\xff\xff\xff\xff\x0f"), big, "names"},
		"names of locals":             {magic + section(0, "\x04name\x02\x06\x01\x00\xff\xff\xff\x7f"), big, "names"},
		"names beyond their part":     {magic + section(0, "\x04name\x01\x02\x01\x00a"), bad, "ends in the middle"},
		"locals without end":          {function("\x01\xff\xff\xff\xff\x0f\x7f\x0b"), big, "4294967295 locals"},
		"locals in groups":            {function("\x02\xff\x7f\x7f\xff\x7f\x7f\x0b"), big, "32766 locals"},
		"local of a reference":        {function("\x01\x01\x70\x0b"), feature, "0x70"},
		"code without end":            {function("\x00\x01"), bad, "ends in the middle"},
		"code after the end":          {function("\x00\x0b\x01"), bad, "after the end"},
		"unknown instruction":         {function("\x00\x27\x0b"), bad, "0x27"},
		"tail call":                   {function("\x00\x12\x00\x0b"), feature, "tail calls"},
		"exception":                   {function("\x00\x06\x40\x0b\x0b"), feature, "exceptions"},
		"table.get":                   {function("\x00\x25\x00\x0b"), feature, "reference types"},
		"table.grow":                  {function("\x00\xfc\x0f\x00\x0b"), feature, "0xfc 15"},
		"atomic":                      {function("\x00\xfe\x00\x02\x00\x0b"), feature, "threads"},
		"relaxed SIMD":                {function("\x00\xfd\x80\x02\x0b"), feature, "relaxed"},
		"garbage collection":          {function("\x00\xfb\x00\x0b"), feature, "garbage"},
		"branch table without end":    {function("\x00\x41\x00\x0e\xff\xff\xff\x7f\x0b"), big, "branch table"},
		"memory.grow of memory 1":     {function("\x00\x41\x00\x40\x01\x0b"), feature, "number 1"},
		"load of memory 1":            {function("\x00\x41\x00\x28\x42\x01\x00\x1a\x0b"), feature, "number of a memory"},
		"export of a tag":             {magic + section(7, "\x01\x01a\x04\x00"), feature, "export of a tag"},
		"reference to a type":         {magic + section(1, "\x01\x60\x01\x63\x00\x00"), feature, "0x63"},
		"64-bit memory, too long":     {magic + section(5, "\x01\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), feature, "64-bit"},
		"call_indirect of table 1":    {function("\x00\x41\x00\x11\x00\x01\x0b"), feature, "number 1"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := preflight.Parse([]byte(c.module), preflight.Limits{})
			require.Nil(t, m)
			require.ErrorIs(t, err, kinds[c.kind])
			require.ErrorContains(t, err, c.says)
		})
	}
}

// What can be read behind a fault is read, and every kind of fault is told.
func TestValidateAll(t *testing.T) {
	m, why := preflight.ValidateAll([]byte(magic+
		section(1, "\x02\x60\x02\x63\x05\x6f\x00\x60\x00\x00")+
		section(2, "\x05\x01a\x01t\x01\x64\x05\x00\x01\x01a\x01m\x02\x07\x01\x02\x01a\x01g\x03\x7f\x00\x01a\x01x\x04\x00\x01\x01a\x01f\x00\x01")+
		section(3, "\x03\x01\x01\x01")+
		section(4, "\x02\x6f\x00\x01\x70\x03\x01\x80\x80\x40")+
		section(5, "\x02\x05\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x00\x05")+
		section(13, "\x01\x00\x01")+
		section(6, "\x01\x7f\x00\x41\x00\x0b")+
		section(7, "\x05\x01m\x02\x02\x01t\x01\x02\x01g\x03\x01\x01x\x04\x00\x01f\x00\x02")+
		section(8, "\x01")+
		section(9, "\x02\x06\x01\x41\x00\x0b\x70\x00\x05\x6f\x01\xd0\x6f\x0b")+
		section(10, "\x03\x04\x00\x06\x40\x0b\x05\x00\xfe\x03\x00\x0b\x05\x00\x3f\x01\x1a\x0b")+
		section(11, "\x01\x00\x41\x00\x0b\x02hi")), preflight.Limits{})
	want := []string{
		"value type 0x63", "value type 0x6f", `import of a table, "a"."t"`, `import of a memory, "a"."m"`, "64-bit memory",
		`import of a global, "a"."g"`, `import of a tag, "a"."x"`, "2 tables", "a table of type 0x6f", "a shared table",
		"2 memories", "a tag section", `export of a tag, "x"`, "table of an element segment is number 1",
		"element segment of type 0x6f", "exceptions are not available to a guest) (function 1)",
		"threads are not available to a guest) (function 2)", "the memory of an instruction is number 1",
	}
	var texts []string
	for _, err := range why {
		texts = append(texts, err.Error())
		require.ErrorIs(t, err, preflight.ErrFeature)
	}
	require.Len(t, why, len(want), "%s", strings.Join(texts, "\n"))
	for i, s := range want {
		require.Contains(t, texts[i], s)
	}
	require.False(t, m.Incomplete)
	require.Equal(t, 3, m.Functions)
	require.Equal(t, int64(2), m.DataSize)
	require.Equal(t, &preflight.Table{Min: 1, Max: -1}, m.Table)
	require.Equal(t, &preflight.Memory{Min: 1, Max: math.MaxInt64}, m.Memory)
	require.Equal(t, uint32(2), m.Export("f").Index)

	// A limit that hides what comes behind it ends the reading, and says where.
	m, why = preflight.ValidateAll([]byte(magic+section(1, "\x02\x60\x00\x00\x60\x00\x00")+section(7, "\x00")), preflight.Limits{Types: 1, Module: 9})
	require.Len(t, why, 2)
	require.ErrorContains(t, why[0], "bytes")
	require.ErrorContains(t, why[1], "2 types: must be at most 1 (section type, read up to byte 11)")
	require.True(t, m.Incomplete)
	require.False(t, m.ExportsRead())
}

// What decides what compiling a function costs is counted as it stands in the code.
func TestBody(t *testing.T) {
	const types = "\x04\x60\x00\x00\x60\x02\x7f\x7f\x03\x7f\x7f\x7f\x60\x01\x7e\x00\x60\x00\x01\x7d"
	const i = "\x41\x00" // i32.const 0
	for name, c := range map[string]struct {
		kind int // of the function's types
		code string
		want preflight.Body
	}{
		"empty":      {0, "\x00", preflight.Body{}},
		"locals":     {2, "\x01\x03\x7f\x02\x40\x0b", preflight.Body{Locals: 3, Depth: 1, Blocks: 1, Climbs: 1, Meets: 1}},
		"operands":   {0, "\x00" + i + i + "\x02\x40\x0b\x1a\x1a", preflight.Body{Depth: 1, Blocks: 1, Stack: 2, Live: 2, Climbs: 1, Meets: 1}},
		"if":         {0, "\x00" + i + i + "\x04\x40\x05\x0c\x00\x0b\x1a", preflight.Body{Depth: 1, Blocks: 1, Branches: 1, Stack: 1, Live: 2, Climbs: 3, Meets: 4, Merges: 4}},
		"br_if":      {0, "\x00" + i + i + "\x0d\x00\x1a", preflight.Body{Branches: 1, Stack: 2, Live: 2, Climbs: 1, Meets: 1}},
		"br_table":   {0, "\x00\x02\x40" + i + "\x0e\x01\x00\x00\x0b", preflight.Body{Depth: 1, Blocks: 1, Branches: 2, Stack: 1, Live: 2, Climbs: 3, Meets: 4, Merges: 4}},
		"results":    {3, "\x00\x02\x03\x10\x00\x0b\x02\x40\x0b", preflight.Body{Depth: 1, Blocks: 2, Calls: 1, Values: 2, Stack: 1, Live: 1, Climbs: 3, Meets: 2}},
		"parameters": {1, "\x00" + i + i + "\x03\x01\x43\x00\x00\x00\x00\xa8\x0b\x02\x40\x0b", preflight.Body{Depth: 1, Blocks: 2, Values: 5, Stack: 3, Live: 5, Climbs: 6, Meets: 2, Merges: 1}},
		"type":       {0, "\x00\x02\x7f" + i + i + "\x0b\x02\x40\x0b\x1a", preflight.Body{Depth: 1, Blocks: 2, Values: 1, Stack: 1, Live: 1, Climbs: 3, Meets: 2}},
		"call":       {1, "\x00" + i + i + i + "\x10\x00\x02\x40\x0b", preflight.Body{Depth: 1, Blocks: 1, Calls: 1, Values: 5, Stack: 4, Live: 4, Climbs: 1, Meets: 1}},
		"indirectly": {1, "\x00" + i + i + i + "\x11\x01\x00\x02\x40\x0b", preflight.Body{Depth: 1, Blocks: 1, Calls: 1, Values: 5, Stack: 3, Live: 3, Climbs: 1, Meets: 1}},
		"unreached":  {0, "\x00\x02\x40\x00\x6a\x6a\x1a\x02\x40\x0b\x0b", preflight.Body{Depth: 2, Blocks: 2, Climbs: 1}},
		"memory":     {0, "\x00" + i + "\x28\x02\x00" + i + "\x36\x02\x00\x3f\x00\x40\x00\x02\x40\x0b\x1a", preflight.Body{Depth: 1, Blocks: 1, Accesses: 2, Calls: 1, Stack: 1, Live: 1, Climbs: 1, Meets: 1, Resets: 2, Known: 2}},
		"numbers": {0, "\x00" + i + i + "\x6a\x45\x69\x42\x00\x42\x00\x7c\x50\x46\xac\xb9\x9f\x44\x00\x00\x00\x00\x00\x00\x00\x00\xa0\x02\x40\x0b\x1a",
			preflight.Body{Depth: 1, Blocks: 1, Stack: 1, Live: 1, Climbs: 1, Meets: 1}},
		"variables":                 {2, "\x01\x01\x7e\x20\x00\x22\x01\x21\x00\x20\x00\x20\x01\x41\x01\x1b\x02\x40\x0b\x1a", preflight.Body{Locals: 1, Depth: 1, Blocks: 1, Stack: 1, Read: 2, Live: 3, Climbs: 1, Meets: 1}},
		"memory.fill":               {0, "\x00" + i + i + i + "\xfc\x0b\x00\x02\x40\x0b", preflight.Body{Depth: 1, Blocks: 2, Branches: 2, Climbs: 10, Meets: 9, Merges: 4}},
		"memory.copy":               {0, "\x00" + i + i + i + "\xfc\x0a\x00\x00\x02\x40\x0b", preflight.Body{Depth: 1, Blocks: 1, Climbs: 1, Meets: 1}},
		"a loop in a loop":          {1, "\x00\x03\x40\x03\x40" + "\x20\x00\x0d\x00\x0b" + "\x20\x01\x0d\x00\x0b" + i + i + i, preflight.Body{Depth: 2, Loops: 2, Blocks: 2, Branches: 2, Stack: 1, Read: 2, Live: 10, Climbs: 21, Meets: 8, Lookups: 2, Merges: 6}},
		"reads behind branches":     {1, "\x00" + "\x20\x00\x0d\x00\x20\x00\x0d\x00\x20\x00\x0d\x00" + "\x20\x01\x1a" + i + i + i, preflight.Body{Branches: 3, Stack: 1, Read: 2, Live: 9, Climbs: 6, Meets: 9, Lookups: 6}},
		"reads where branches meet": {1, "\x00\x02\x40" + "\x20\x00\x0d\x00\x20\x00\x0d\x00\x0b" + "\x20\x01\x1a" + i + i + i, preflight.Body{Depth: 1, Blocks: 1, Branches: 2, Stack: 1, Read: 2, Live: 8, Climbs: 4, Meets: 9, Lookups: 1, Merges: 6}},
		"vectors": {0, "\x00\xfd\x0c0123456789abcdef\xfd\x0c0123456789abcdef\xfd\x0d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
			"\xfd\x1b\x00\x1a" + i + "\xfd\x00\x04\x00\x1a" + i + i + "\xfd\x0f\xfd\x0b\x04\x00\x02\x40\x0b", preflight.Body{Depth: 1, Blocks: 1, Accesses: 2, Climbs: 1, Meets: 1, Known: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			body := c.code + "\x0b"
			m, err := preflight.Parse([]byte(magic+section(1, types)+section(3, "\x01"+string(rune(c.kind)))+section(4, "\x01\x70\x00\x00")+section(5, "\x01\x00\x01")+
				section(10, "\x01"+string(rune(len(body)))+body)), preflight.Limits{})
			require.NoError(t, err)
			c.want.Size = len(body)
			got := m.Largest
			require.Positive(t, got.Instructions)
			got.Instructions, got.Memory, got.Code, got.Basic = 0, 0, 0, 0
			require.Equal(t, c.want, got)
			require.Positive(t, m.CompileCost)
			require.Positive(t, m.CompileMemory)
		})
	}
}

func TestLimits(t *testing.T) {
	module := []byte(magic +
		section(1, "\x02\x60\x02\x7f\x7e\x01\x7f\x60\x00\x00") +
		section(2, "\x02\x03env\x01a\x00\x00\x03env\x01b\x00\x01") +
		section(3, "\x02\x01\x01") +
		section(4, "\x01\x70\x01\x03\x05") +
		section(5, "\x01\x01\x01\x02") +
		section(6, "\x02\x7f\x00\x41\x01\x0b\x7e\x01\x42\x02\x0b") +
		section(7, "\x02\x01m\x02\x00\x01f\x00\x00") +
		section(9, "\x01\x00\x41\x00\x0b\x03\x00\x01\x02") +
		section(12, "\x02") +
		section(10, "\x02\x0e\x02\x02\x7f\x01\x7e\x02\x40\x03\x40\x0c\x00\x0b\x0b\x0b\x02\x00\x0b") +
		section(11, "\x02\x00\x41\x00\x0b\x03abc\x01\x02de"))
	full := preflight.Limits{}
	m, err := preflight.Parse(module, full)
	require.NoError(t, err)
	require.Equal(t, len(module), m.Size)
	require.Equal(t, &preflight.Memory{Min: 1, Max: 2}, m.Memory)
	require.Equal(t, &preflight.Table{Min: 3, Max: 5}, m.Table)
	require.Equal(t, "(i32, i64) -> i32", m.Imports[0].Signature.String())
	require.Equal(t, m.Imports[0].Signature, m.Export("f").Signature)
	require.Nil(t, m.Export("none"))
	require.Equal(t, 14, m.Largest.Size)
	require.Equal(t, 3, m.Largest.Locals)
	require.Equal(t, 2, m.Largest.Depth)
	require.Equal(t, 1, m.Largest.Loops)
	require.Equal(t, 2, m.Functions)
	require.Equal(t, 3, m.Elements)
	require.Equal(t, 2, m.Segments)
	require.Equal(t, int64(5), m.DataSize)
	require.Equal(t, int64(3), m.Locals)

	for name, c := range map[string]struct {
		at, below preflight.Limits
	}{
		"bytes":           {preflight.Limits{Module: len(module)}, preflight.Limits{Module: len(module) - 1}},
		"types":           {preflight.Limits{Types: 2}, preflight.Limits{Types: 1}},
		"parameters":      {preflight.Limits{Params: 2}, preflight.Limits{Params: 1}},
		"imports":         {preflight.Limits{Imports: 2}, preflight.Limits{Imports: 1}},
		"functions":       {preflight.Limits{Functions: 2}, preflight.Limits{Functions: 1}},
		"globals":         {preflight.Limits{Globals: 2}, preflight.Limits{Globals: 1}},
		"exports":         {preflight.Limits{Exports: 2}, preflight.Limits{Exports: 1}},
		"entries of an":   {preflight.Limits{Elements: 3}, preflight.Limits{Elements: 2}},
		"data segments":   {preflight.Limits{Segments: 2}, preflight.Limits{Segments: 1}},
		"of a table":      {preflight.Limits{Table: 3}, preflight.Limits{Table: 2}},
		"of a name":       {preflight.Limits{Name: 3}, preflight.Limits{Name: 2}},
		"one function":    {preflight.Limits{Body: 14}, preflight.Limits{Body: 13}},
		"locals in one":   {preflight.Limits{Locals: 3}, preflight.Limits{Locals: 2}},
		"nested blocks":   {preflight.Limits{Depth: 2}, preflight.Limits{Depth: 1}},
		"branches":        {preflight.Limits{Branches: 3}, preflight.Limits{Branches: 2}},
		"all functions":   {preflight.Limits{AllLocals: 3}, preflight.Limits{AllLocals: 2}},
		"costs at":        {preflight.Limits{CompileCost: m.CompileCost}, preflight.Limits{CompileCost: m.CompileCost - 1}},
		"compiling takes": {preflight.Limits{CompileMemory: m.CompileMemory}, preflight.Limits{CompileMemory: m.CompileMemory - 1}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := preflight.Parse(module, c.at)
			require.NoError(t, err)
			_, err = preflight.Parse(module, c.below)
			require.ErrorIs(t, err, preflight.ErrTooBig)
			require.ErrorContains(t, err, name)
		})
	}
}

func TestGuestsAreRead(t *testing.T) {
	all, err := filepath.Glob("../testdata/*.wasm")
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, name := range all {
		wasm, err := os.ReadFile(name)
		require.NoError(t, err)
		m, err := preflight.Parse(wasm, preflight.Limits{})
		switch filepath.Base(name) {
		case "data_outside.wasm", "elements_outside.wasm":
			require.ErrorIs(t, err, preflight.ErrMalformed)
		case "table_huge.wasm", "nested.wasm":
			require.ErrorIs(t, err, preflight.ErrTooBig)
		case "import_memory.wasm", "import_table.wasm", "import_global.wasm", "memories_many.wasm", "table_grow.wasm", "faults.wasm":
			require.ErrorIs(t, err, preflight.ErrFeature)
		default:
			require.NoError(t, err, name)
			require.Equal(t, filepath.Base(name) == "start.wasm", m.Start)
		}
		// No prefix of a module is a module with the same number of functions.
		for n := range wasm {
			if cut, err := preflight.Parse(wasm[:n], preflight.Limits{}); err == nil && m != nil {
				require.Less(t, len(cut.Sections), len(m.Sections), "%s cut to %d bytes", name, n)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	all, err := filepath.Glob("../testdata/*.wasm")
	require.NoError(f, err)
	for _, name := range all {
		wasm, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(wasm)
	}
	f.Add([]byte(magic + section(1, "\x01\x60\x02\x7f\x7e\x01\x7d") + section(0, "\x04name\x00\x02\x01x")))
	f.Add([]byte(function("\x01\x02\x7f\xfd\x0c0123456789abcdef\x1a\xfc\x0a\x00\x00\x0e\x01\x00\x00\x0b")))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := preflight.Parse(bytes.Clone(wasm), preflight.Limits{})
		runtime.ReadMemStats(&after)
		require.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20+256*len(wasm)))
		if err != nil {
			known := false
			for _, kind := range []error{preflight.ErrNotWasm, preflight.ErrMalformed, preflight.ErrFeature, preflight.ErrTooBig} {
				known = known || errors.Is(err, kind)
			}
			require.True(t, known, "%v", err)
			outline, why := preflight.ValidateAll(wasm, preflight.Limits{})
			require.EqualError(t, why[0], err.Error())
			require.LessOrEqual(t, len(why), 101)
			require.NotNil(t, outline)
			return
		}
		end := 8
		for _, s := range m.Sections {
			require.Greater(t, s.Offset, end)
			end = s.Offset + s.Size
		}
		require.LessOrEqual(t, end, len(wasm))
		for _, e := range m.Exports {
			require.Contains(t, string(wasm), e.Name)
		}
	})
}

func ExampleParse() {
	wasm, err := os.ReadFile("../testdata/hostile.wasm")
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := preflight.Parse(wasm, preflight.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Functions, "functions,", m.Memory.Min, "pages of memory")
	for _, i := range m.Imports[:2] {
		fmt.Println(i.Module, i.Name, i.Signature)
	}
	fmt.Println(strings.TrimPrefix(m.Export("session_get").Name, "session_"), m.Export("session_get").Signature)
	// Output:
	// 22 functions, 32 pages of memory
	// waddle_v1 log (i32, i32, i32) -> ()
	// waddle_v1 fail (i32, i32) -> ()
	// get (i32, i32, i64) -> i64
}
