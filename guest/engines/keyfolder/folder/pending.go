package folder

import (
	"hash/crc32"
	"io"
	"math/rand/v2"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// entry is what is known of a key that was changed since the last Save.
//
// A changed record lies in a file of its own beside the durable one, which is
// replaced only at Save, when the new one has been synced: replaced at once, a
// power loss could leave neither. The files of a key are called by a ticket,
// which no other change of any key ever had: what is left of an older one, after
// a crash, is never taken for it.
type entry struct {
	ticket   uint64
	sequence uint64
	expires  int64
	revision uint64

	slot     uint8 // which of the two files has the record, or a state below
	other    bool  // the other file may be there as well, and is older
	rewrite  bool  // what was written may not be what is on the disk: sync it no more, but write it again
	unsynced bool  // names in the folder have changed
	listed   bool  // it is in the list
}

// States of entry.slot beside the files 1 and 2.
const (
	slotNone    = 0 // neither: the record is the durable one, if there is any
	slotUnknown = 3 // an earlier instance wrote, and nobody has looked yet
)

func (e *entry) hasFile() bool { return e.slot == 1 || e.slot == 2 }

// The list of changed keys is kept in a file too, for the instance that comes
// after this one if the process is killed: it finds what was written, without
// looking everywhere, and its Save makes it durable. A power loss may leave any
// part of the list, which costs nothing but what was not saved.
//
//	 0 32  "waddle keyfolder pending list 1\n"
//	then for every change that is the first of its key since the last Save
//	 0  4  CRC-32C of the bytes 4 to 31
//	 4  4  0
//	 8 16  id
//	24  8  ticket
const (
	listTitle     = "waddle keyfolder pending list 1\n"
	listEntrySize = 32
)

type list struct {
	fs     vfs.FS
	name   string
	file   vfs.File
	count  int // entries in the file
	buffer [listEntrySize]byte
}

// replace makes a new file of the entries, in place of what is there. From then
// on, what an earlier list said is gone for good, once the directory has been
// synced.
func (l *list) replace(pending map[id]entry) error {
	b := make([]byte, 0, listEntrySize*(1+len(pending)))
	b = append(b, listTitle...)
	for i, e := range pending {
		b = appendListEntry(b, i, e.ticket)
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
		return err
	}
	// Some systems rename no file that is open, and over none that is.
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
	if err = l.fs.Rename(temporary, l.name); err == nil {
		l.count = len(pending)
	}
	if opened := l.open(); err == nil {
		err = opened
	}
	return err
}

func (l *list) open() (err error) {
	l.file, err = l.fs.OpenFile(l.name, vfs.ReadWrite)
	if err != nil {
		l.file = nil
	}
	return err
}

// add writes an entry. It counts once it is there completely: one that failed is
// overwritten by the next.
func (l *list) add(i id, ticket uint64) error {
	if l.file == nil { // replacing it failed
		if err := l.open(); err != nil {
			return err
		}
	}
	b := appendListEntry(l.buffer[:0], i, ticket)
	if _, err := l.file.WriteAt(b, int64(listEntrySize*(1+l.count))); err != nil {
		return err
	}
	l.count++
	return nil
}

// reset empties the list, whose keys are all durable. If it fails, the list says
// more than it need, which does no harm.
func (l *list) reset() {
	if l.count > 0 && l.file != nil && l.file.Truncate(listEntrySize) == nil {
		l.count = 0
	}
}

func appendListEntry(b []byte, i id, ticket uint64) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, i[:]...)
	b = append64(b, ticket)
	put32(b[start:], crc32.Checksum(b[start+4:], castagnoli))
	return b
}

// read returns what an earlier instance left. Entries that are damaged are left
// out.
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

// parseList adds the entries of a piece of the list: the later one counts.
func parseList(b []byte, pending map[id]entry) {
	for ; len(b) >= listEntrySize; b = b[listEntrySize:] {
		if get32(b) != crc32.Checksum(b[4:listEntrySize], castagnoli) {
			continue
		}
		pending[id(b[8:24])] = entry{
			ticket: get64(b[24:]), slot: slotUnknown, rewrite: true, unsynced: true, listed: true,
		}
	}
}

// tickets start anywhere and go up by one.
func firstTicket() uint64 { return rand.Uint64() }
