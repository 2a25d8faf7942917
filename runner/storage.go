package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"stargate/ledger"
	"stargate/ledger/shard"
)

// Storage says where a run keeps what several machines need, where that is not its directory.
// The zero value keeps everything in the directory. It changes no result.
type Storage struct {
	// Ledger is the database of the ledger: postgres://USER@HOST/DATABASE. The run has a schema
	// of its name there, unless the address names one (search_path).
	Ledger string `yaml:"ledger" json:"ledger,omitempty"`
	// Store is where models and the conversations of every iteration are published: a folder
	// that all machines see (file:///…) or s3://BUCKET/PREFIX. The run has a folder of its name
	// there.
	Store string `yaml:"store" json:"store,omitempty"`
	// BodiesAbove is the number of calls above which the texts of an iteration's calls move from
	// the ledger to the store; 0: [shard.Threshold].
	BodiesAbove int64 `yaml:"bodies_above" json:"bodies_above,omitempty"`
}

func (s Storage) bodiesAbove() int64 { return cmp.Or(s.BodiesAbove, shard.Threshold) }

// over puts s over t, field by field.
func (s Storage) over(t Storage) Storage {
	if s.Ledger != "" {
		t.Ledger = s.Ledger
	}
	if s.Store != "" {
		t.Store = s.Store
	}
	if s.BodiesAbove != 0 {
		t.BodiesAbove = s.BodiesAbove
	}
	return t
}

// shown is s without passwords, which belong into PGPASSWORD or ~/.pgpass.
func (s Storage) shown() Storage {
	if u, err := url.Parse(s.Ledger); err == nil && u.Scheme != "" {
		if u.User != nil {
			u.User = url.User(u.User.Username())
		}
		q := u.Query()
		for name := range q {
			if strings.Contains(strings.ToLower(name), "password") {
				q.Del(name)
			}
		}
		u.RawQuery = q.Encode()
		s.Ledger = u.String()
	}
	return s
}

// validate finds what is no address. An address that is none is not quoted: it may hold a
// password.
func (s Storage) validate() error {
	switch scheme, _, ok := strings.Cut(s.Ledger, "://"); {
	case s.Ledger == "":
	case !ok || scheme != "postgres" && scheme != "postgresql":
		return errors.New("--ledger: want postgres://USER@HOST/DATABASE; without it the ledger is a file in the run's directory")
	}
	switch scheme, rest, ok := strings.Cut(s.Store, "://"); {
	case s.Store == "":
	case !ok || rest == "" || scheme != "file" && scheme != "s3":
		return fmt.Errorf("--store %s: want file:///FOLDER or s3://BUCKET/PREFIX", s.Store)
	}
	if s.BodiesAbove < 0 {
		return fmt.Errorf("storage: bodies_above is %d, want 0 or more", s.BodiesAbove)
	}
	return nil
}

// of is the storage of the run of this name, within what several runs use.
func (s Storage) of(run string) (_ Storage, err error) {
	if s.Ledger != "" {
		if s.Ledger, err = ledger.InSchema(s.Ledger, run); err != nil {
			return s, err
		}
	}
	if s.Store != "" {
		u, err := url.Parse(s.Store)
		if err != nil {
			return s, fmt.Errorf("--store: %w", err)
		}
		s.Store = u.JoinPath(run).String()
	}
	return s, nil
}

// settle decides where the run's things are: as the command says, else the experiment, else
// as they were when the run was begun.
func (s *session) settle(o Options) error {
	begun, err := ReadManifest(s.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		begun = &Manifest{}
	case err != nil:
		return fmt.Errorf("%w; or choose another place with --out", err)
	}
	given := Storage{Ledger: o.Ledger, Store: o.Store}.over(s.experiment.Storage)
	if err := given.validate(); err != nil {
		return err
	}
	dir := s.dir
	if o.Share != "" { // what runs share has the name of their study
		dir = filepath.Dir(o.Share)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if given, err = given.of(filepath.Base(dir)); err != nil {
		return err
	}
	s.storage = given.over(begun.Storage)
	s.manifest.Storage = s.storage.shown()
	file := filepath.Join(s.dir, ledgerFile)
	if o.Share != "" {
		file = filepath.Join(o.Share, ledgerFile)
	}
	if _, err := os.Stat(file); err == nil && s.storage.Ledger != "" {
		return fmt.Errorf("the run's ledger is %s: move it with stargate ledger copy %s '%s' and remove the file, or leave out --ledger", file, file, s.manifest.Storage.Ledger)
	}
	return nil
}

// openStorage opens ledger and store, the run's own or those that it shares with others, and
// notes in the manifest where they are.
func (s *session) openStorage(ctx context.Context, share string) (err error) {
	if s.storage.Store != "" {
		if s.store, err = shard.Open(ctx, s.storage.Store); err != nil {
			return err
		}
		if err := s.store.Check(ctx); err != nil { // before anything is made that it should hold
			return err
		}
		s.models.store = s.store
	}
	if err := s.openLedger(share); err != nil {
		return err
	}
	if s.store != nil {
		s.ledger.ReadBodies(shard.NewShelf(s.store, shelved))
	}
	return noteStorage(s.dir, s.manifest.Storage)
}

// shelved is how many shards of calls a run holds in memory.
const shelved = 8

// noteStorage writes to the manifest of a run where its things are now.
func noteStorage(dir string, at Storage) error {
	m, err := ReadManifest(dir)
	if err != nil || m.Storage == at {
		return err
	}
	m.Storage = at
	return writeJSON(filepath.Join(dir, manifestFile), m)
}

// LedgerAt is where the ledger of the run in dir is: a file, or the address of a schema
// without its password.
func (m *Manifest) LedgerAt(dir string) string {
	if m.Storage.Ledger != "" {
		return m.Storage.Ledger
	}
	return filepath.Join(dir, ledgerFile)
}
