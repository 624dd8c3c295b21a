package cache_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/memory/cache"
)

// FuzzOperations reads its input as operations of four bytes: what to do, with
// which key, and a number whose meaning depends on the operation.
func FuzzOperations(f *testing.F) {
	f.Add([]byte{0, 1, 0, 200, 1, 1, 0, 0, 2, 1, 0, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		options := cache.Options{MaxBytes: cache.MinBytes}
		m := newModel(t, options)
		for ; len(program) >= 4 && m.step < 2000; program = program[4:] {
			m.step++
			op, key := program[0], []byte{program[1] % 64, 'k'}
			number := int(binary.LittleEndian.Uint16(program[2:]))
			value := make([]byte, number*4)
			for i := range min(8, len(value)) {
				value[i] = program[i%4]
			}
			switch op % 10 {
			case 0:
				m.set(key, value, 0, abi.ExpectAny)
			case 1:
				m.lookup(key)
			case 2:
				m.delete(key)
			case 3:
				m.set(key, value[:number/16], m.now+int64(number%256), abi.ExpectAbsent)
			case 4:
				r, _ := m.lookup(key)
				m.set(key, value, m.now+int64(number), int64(abi.Revision(r.value)))
			case 5:
				m.touch(key, m.now+int64(number)-5)
			case 6:
				m.now += int64(number)
			case 7:
				_, err := m.cache.Sweep(number%100, m.now)
				require.NoError(t, err)
			case 8:
				m.set(key, value[:min(len(value), 300)], m.now+1+int64(number), abi.ExpectAny)
			case 9:
				if number%16 == 0 {
					m.clear()
				} else if number%16 == 1 {
					m.restoreElsewhere(options)
				}
			}
			require.LessOrEqual(t, m.cache.Bytes(), options.MaxBytes)
		}
		m.verify()
	})
}

// FuzzRestore tests restoring against arbitrary lists: it must refuse or store
// them, and never break.
func FuzzRestore(f *testing.F) {
	list := abi.AppendRecord(nil, []byte("key"), []byte("value"), 0)
	f.Add(list)
	f.Add(list[:len(list)-1])
	f.Add(abi.AppendRecord(list, nil, nil, 5))
	f.Fuzz(func(t *testing.T, list []byte) {
		c, err := cache.New(cache.Options{MaxBytes: cache.MinBytes})
		require.NoError(t, err)
		err = drive(t, c).harness.Restore(list, 1)
		require.NoError(t, c.Verify())
		if err != nil {
			require.Zero(t, c.Len())
			require.True(t, isOneOf(err, guest.ErrInvalid, guest.ErrTooLarge, guest.ErrNoSpace), "%v", err)
		}
	})
}
