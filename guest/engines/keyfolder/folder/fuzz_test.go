package folder_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
)

// FuzzStore opens a directory with arbitrary contents in its files.
func FuzzStore(f *testing.F) {
	disk, _ := damaged(f)
	files := map[string][]byte{}
	for _, name := range []string{"format", "pending-0"} {
		files[name] = readFile(f, disk, name)
	}
	sum := sha256.Sum256(key(2)) // which is new and was not saved
	session := fmt.Sprintf("sessions-0/%02x/%x/%x/session", sum[0], sum[1]>>4, sum[:16])
	f.Add(files["format"], files["pending-0"], readFile(f, disk, session))
	f.Add([]byte("waddle keyfolder 2\n"), []byte{}, []byte("waddle1\n"))
	saved := append(readFile(f, disk, session), 0)
	saved[60] ^= 1
	f.Add(files["format"], files["pending-0"], saved)                                        // damaged
	f.Add(files["format"], []byte{}, saved[:len(saved)-1])                                   // torn
	f.Add(files["format"], []byte{}, append(make([]byte, 4096), saved[:8193]...))            // in another slot
	f.Add(files["format"], files["pending-0"], append(make([]byte, 16384), saved[:8192]...)) // slots twice as large
	f.Fuzz(func(t *testing.T, format, pending, record []byte) {
		disk, want := damaged(t)
		writeFile(t, disk, "format", format)
		writeFile(t, disk, "pending-0", pending)
		writeFile(t, disk, session, record)
		s, err := folder.Open(disk, folder.Options{Shards: 1})
		if err != nil {
			require.ErrorIs(t, err, guest.ErrInvalid)
			return
		}
		for k := range want {
			v, err := s.Get([]byte(k), 1)
			if err == nil {
				require.Contains(t, []string{want[k], string(value(2, 200))}, string(v), "a record that never existed")
			}
		}
		keys(t, s, 1)
		_, err = s.Sweep(100, 1)
		require.NoError(t, err)
		require.NoError(t, s.Save(1))
		set(t, s, key(0), value(9, 50))
		has(t, s, key(0), value(9, 50), 1)
	})
}
