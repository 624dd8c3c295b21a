package folder

import (
	"encoding/binary"
	"io"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// entry is what is known of a key that was changed since the last Save.
type entry struct {
	place
	names    uint32 // counts the files that the folder had, and their removals
	sequence uint64
	expires  int64
	revision uint64

	state    state
	durable  int8 // the slot of the saved record, none if there is none
	rewrite  bool // the disk may not have what was written: write it again before it is synced
	spare    spare
	unsynced bool // names in the folder have changed
	listed   bool // it is in the list
	refused  bool // it is gone, but a file from a refused write is still there
}

// spare is what may be done instead when a record should go to a new file and the
// disk has no room for one.
type spare uint8

const (
	noSpare    spare = iota // nothing: the record is not durable before there is room
	spareSync               // a sync, since none of the file is known to have failed
	spareAgain              // write it once more to its own slot: it was never saved there
)

// place is where a record is in its file.
type place struct {
	slot     int8
	slotSize int32
	used     uint8 // slots, as bits, that have a record of any age
	saved    bool  // the file's length says that a record was synced
}

// none means no slot.
const none = -1

// victim returns the slot for the next record: neither that of the newest record,
// which must survive a killed process, nor that of the saved one, which must
// survive a power loss.
func (e *entry) victim() int8 {
	for slot := int8(0); ; slot++ {
		if slot != e.slot && slot != e.durable {
			return slot
		}
	}
}

// state says how to read an entry.
type state uint8

const (
	there   state = iota // there is a record, in its place
	gone                 // there is no record and no file
	damaged              // there is a file without a readable record
	unknown              // an earlier instance changed it, and nobody has looked yet
)

// The list of changed keys is also kept in a file, for the next instance if the
// process is killed: its Save makes durable what this one wrote, without looking
// everywhere. A key is listed before it is changed. After a power loss the contents
// of the list do not matter: whatever is on the disk then is durable.
//
//	 0 32  "waddle keyfolder pending list 1\n"
//	then for every change that is the first of its key since the last Save
//	 0  4  checksum of the bytes 4 to 31
//	 4  4  1 if a sync of the file has failed, and else 0
//	 8 16  id
//	24  8  0
const (
	listTitle     = "waddle keyfolder pending list 1\n"
	listEntrySize = 32

	listSyncFailed = 1
)

type list struct {
	fs     vfs.FS
	name   string
	file   vfs.File
	count  int // entries in the file
	buffer [listEntrySize]byte
}

// begin prepares the list for an instance that found these entries in it. If there
// is no room for a new list, the existing one stays in use.
func (l *list) begin(pending map[id]entry) error {
	err := l.replace(pending)
	if !vfs.NoSpace(err) || l.file != nil {
		return ignoreNoSpace(err)
	}
	return ignoreNotExist(l.open(0)) // add makes it when it can
}

// replace replaces the list by a new file with the entries.
func (l *list) replace(pending map[id]entry) error {
	b := make([]byte, 0, listEntrySize*(1+len(pending)))
	b = append(b, listTitle...)
	for i, e := range pending {
		b = appendListEntry(b, i, e.rewrite && e.spare != spareSync)
	}
	temporary := l.name + "-new"
	f, err := l.fs.OpenFile(temporary, vfs.ReadWrite|vfs.Create|vfs.Truncate)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = l.fs.Remove(temporary) // it takes up room that is needed
		return err
	}
	// Some systems cannot rename an open file, nor rename over one.
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
	if err = l.fs.Rename(temporary, l.name); err != nil {
		_ = l.fs.Remove(temporary)
	}
	if opened := l.open(0); err == nil {
		err = opened
	}
	return err
}

func ignoreNoSpace(err error) error {
	if vfs.NoSpace(err) {
		return nil
	}
	return err
}

// open opens the existing file, to continue after its last whole entry.
func (l *list) open(flag vfs.Flag) error {
	f, err := l.fs.OpenFile(l.name, vfs.ReadWrite|flag)
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err != nil {
		_ = f.Close()
		return err
	}
	if size == 0 {
		_, _ = f.WriteAt([]byte(listTitle), 0)
	}
	l.file, l.count = f, max(0, int(size/listEntrySize)-1)
	return nil
}

// add writes an entry. It counts once it is completely written; the next one
// overwrites one that failed.
func (l *list) add(i id, syncFailed bool) error {
	if l.file == nil { // there was no room for it, or replacing it failed
		if err := l.open(vfs.Create); err != nil {
			return err
		}
	}
	b := appendListEntry(l.buffer[:0], i, syncFailed)
	if _, err := l.file.WriteAt(b, int64(listEntrySize*(1+l.count))); err != nil {
		return err
	}
	l.count++
	return nil
}

// reset empties the list when all its keys are durable. If it fails, the list names
// more keys than necessary, which does no harm.
func (l *list) reset() {
	if l.count > 0 && l.file != nil && l.file.Truncate(listEntrySize) == nil {
		l.count = 0
	}
}

func appendListEntry(b []byte, i id, syncFailed bool) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	if syncFailed {
		binary.LittleEndian.PutUint32(b[start+4:], listSyncFailed)
	}
	b = append(b, i[:]...)
	b = binary.LittleEndian.AppendUint64(b, 0)
	binary.LittleEndian.PutUint32(b[start:], checksum(b[start+4:]))
	return b
}

// read returns what an earlier instance left. Damaged entries are ignored.
func (l *list) read() (map[id]entry, error) {
	pending := make(map[id]entry)
	f, err := l.fs.OpenFile(l.name, 0)
	if vfs.NotExist(err) {
		return pending, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, 1024*listEntrySize)
	for offset := int64(listEntrySize); ; offset += int64(len(b)) {
		n, err := f.ReadAt(b, offset)
		parseList(b[:n], pending)
		if err == io.EOF {
			return pending, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// parseList adds the entries of a part of the list. Nobody knows whether their
// files were synced. A file whose sync failed once counts as failed.
func parseList(b []byte, pending map[id]entry) {
	for ; len(b) >= listEntrySize; b = b[listEntrySize:] {
		if binary.LittleEndian.Uint32(b) != checksum(b[4:listEntrySize]) {
			continue
		}
		i := id(b[8:24])
		e := entry{state: unknown, rewrite: true, spare: spareSync, unsynced: true, listed: true}
		if earlier, ok := pending[i]; ok {
			e.spare = earlier.spare
		}
		if binary.LittleEndian.Uint32(b[4:]) == listSyncFailed {
			e.spare = noSpare
		}
		pending[i] = e
	}
}
