package wasmbin

// Code is a sequence of instructions being written. A body begins with its locals
// and ends with an end of its own: see [Code.Body].
type Code []byte

// Op appends an instruction with its immediates, each of which is an unsigned
// number: indices, and the alignment and offset of a load or store.
func (c *Code) Op(op Opcode, immediates ...uint32) {
	*c = op.Append(*c)
	for _, n := range immediates {
		*c = AppendU32(*c, n)
	}
}

// I32 appends a constant.
func (c *Code) I32(n int32) { *c = AppendSigned(OpI32Const.Append(*c), int64(n)) }

// I64 appends a constant.
func (c *Code) I64(n int64) { *c = AppendSigned(OpI64Const.Append(*c), n) }

// Block appends the beginning of a block, loop or if, with one result or with
// [NoResult]. An end closes it.
func (c *Code) Block(op Opcode, result ValueType) {
	*c = append(op.Append(*c), byte(result))
}

// Code appends code written elsewhere.
func (c *Code) Code(more Code) { *c = append(*c, more...) }

// Body returns the body of a function with that code and those locals.
func (c Code) Body(locals ...Locals) Body {
	b := append(AppendItems(nil, locals), c...)
	return OpEnd.Append(b)
}

// Expression returns the code as a constant expression.
func (c Code) Expression() Expression { return OpEnd.Append(append(Expression(nil), c...)) }
