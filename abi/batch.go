package abi

import "encoding/binary"

// Kinds of operations in a list that session_batch takes.
const (
	BatchGet    uint32 = 1
	BatchSet    uint32 = 2
	BatchDelete uint32 = 3
	BatchTouch  uint32 = 4
)

// MaxBatch is the largest number of operations in a list.
const MaxBatch = 256

// BatchOp is one operation of a list that session_batch takes.
type BatchOp struct {
	Kind                 uint32
	Key, Value           []byte // Value is for BatchSet
	Expires, Now, Expect int64  // Expires is for BatchSet and BatchTouch, Expect for BatchSet
}

// batchHeader is the size of what stands before the key of an operation.
const batchHeader = 40

// BatchOpSize returns how many bytes an operation takes in a list.
func BatchOpSize(keyLen, valueLen int) int { return batchHeader + keyLen + valueLen }

// AppendBatchOp appends one operation to a list.
func AppendBatchOp(list []byte, op *BatchOp) []byte {
	list = binary.LittleEndian.AppendUint32(list, op.Kind)
	list = binary.LittleEndian.AppendUint32(list, uint32(len(op.Key)))
	list = binary.LittleEndian.AppendUint32(list, uint32(len(op.Value)))
	list = binary.LittleEndian.AppendUint32(list, 0)
	list = binary.LittleEndian.AppendUint64(list, uint64(op.Expires))
	list = binary.LittleEndian.AppendUint64(list, uint64(op.Now))
	list = binary.LittleEndian.AppendUint64(list, uint64(op.Expect))
	list = append(list, op.Key...)
	return append(list, op.Value...)
}

// NextBatchOp cuts the first operation off a list into op, whose key and value lie within
// the list. ok is false at the end of the list. If rest is then not empty, what is left is
// not an operation.
func NextBatchOp(list []byte, op *BatchOp) (rest []byte, ok bool) {
	if len(list) < batchHeader {
		return list, false
	}
	keyLen, valueLen := uint64(binary.LittleEndian.Uint32(list[4:])), uint64(binary.LittleEndian.Uint32(list[8:]))
	if keyLen+valueLen > uint64(len(list)-batchHeader) {
		return list, false
	}
	op.Kind = binary.LittleEndian.Uint32(list)
	op.Expires = int64(binary.LittleEndian.Uint64(list[16:]))
	op.Now = int64(binary.LittleEndian.Uint64(list[24:]))
	op.Expect = int64(binary.LittleEndian.Uint64(list[32:]))
	body := list[batchHeader:]
	op.Key, op.Value = body[:keyLen:keyLen], body[keyLen:keyLen+valueLen:keyLen+valueLen]
	return body[keyLen+valueLen:], true
}

// AppendBatchResult appends the result of one operation to the list that session_batch
// returns: a code, with what fail would say, or 0, with the value that was read.
func AppendBatchResult(list []byte, code Code, body []byte) []byte {
	list = binary.LittleEndian.AppendUint32(list, uint32(int32(code)))
	list = binary.LittleEndian.AppendUint32(list, uint32(len(body)))
	return append(list, body...)
}

// NextBatchResult cuts the first result off a list; the body lies within it. ok is false
// at the end of the list. If rest is then not empty, what is left is not a result.
func NextBatchResult(list []byte) (code Code, body, rest []byte, ok bool) {
	const header = 8
	if len(list) < header {
		return 0, nil, list, false
	}
	length := uint64(binary.LittleEndian.Uint32(list[4:]))
	if length > uint64(len(list)-header) {
		return 0, nil, list, false
	}
	body = list[header:]
	return Code(int32(binary.LittleEndian.Uint32(list))), body[:length:length], body[length:], true
}
