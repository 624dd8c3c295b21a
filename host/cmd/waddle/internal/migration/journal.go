package migration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Journal is a file beside the target of a migration. It is there from before the first
// record is written until the migration has been verified. It says to which migration the
// records in the target belong.
type Journal struct {
	path string
	Move
}

// Move describes a migration, as a journal has it.
type Move struct {
	Form  int       `json:"waddle_migration"` // journalForm
	From  string    `json:"from"`             // without passwords
	To    string    `json:"to"`
	How   string    `json:"how"` // the conversion
	Begun time.Time `json:"begun"`
}

const journalForm = 1

// ErrJournal is returned when a journal belongs to another migration, or is damaged.
var ErrJournal = errors.New("the journal belongs to another migration")

// Open returns the journal of a move: the one that an earlier run of the same move left
// behind, or a new one, of which there is no file before Begin.
func Open(path string, m Move) (j *Journal, resumed bool, err error) {
	m.Form = journalForm
	if m.Begun.IsZero() {
		m.Begun = time.Now().UTC().Truncate(time.Second)
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Journal{path, m}, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var found Move
	if err := json.Unmarshal(text, &found); err != nil || found.Form != journalForm {
		return nil, false, fmt.Errorf("%w: %s is not a journal of a migration", ErrJournal, path)
	}
	if found.From != m.From || found.To != m.To || found.How != m.How {
		return nil, false, fmt.Errorf("%w: %s is from %s to %s (%s), begun at %s", ErrJournal, path, found.From, found.To, found.How, found.Begun.Format(time.RFC3339))
	}
	return &Journal{path, found}, true, nil
}

// Begin makes the file durable, in one step. From then on another run takes what is in the
// target for records of this move, and removes what the source does not have: so the
// target must be known to have nothing else.
func (j *Journal) Begin() error {
	text, err := json.MarshalIndent(j.Move, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(j.path), filepath.Base(j.path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(text, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), j.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(j.path))
}

// Done removes the journal: the migration is over.
func (j *Journal) Done() error {
	if err := os.Remove(j.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(j.path))
}

// syncDir makes durable what a directory names, where directories can be synced.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync() // Windows cannot, and what is lost then is made again
	return d.Close()
}
