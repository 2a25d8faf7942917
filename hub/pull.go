package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"
)

// Options are how a pull goes.
type Options struct {
	Settings
	Agent   string       // User-Agent of the requests
	Log     *slog.Logger // retries and waits (default: none are told)
	Observe func(Event)  // progress; called by one goroutine at a time

	patience patience                       // usual, if zero
	free     func(dir string) (int64, bool) // freeBytes, if nil
}

// Event is how far a pull is.
type Event struct {
	File        string // the file that has just become complete, or ""
	Done, Total int64  // bytes of all files
	Kept        int64  // of Done, bytes that were there before this pull
}

const (
	atOnce      = 4           // files downloaded at a time
	listingTime = time.Minute // for an answer to what there is
)

// Pull brings the files of a model that are needed to run and train it into the cache, and
// pins the revision to a commit on the way: all files are of that commit. Files that are
// there are not asked for again, an incomplete one is continued. With Offline it is Resolve.
func Pull(ctx context.Context, n Name, o Options) (Snapshot, error) {
	if o.Offline {
		return o.Cache.Resolve(n)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.patience == (patience{}) {
		o.patience = usual
	}
	if o.free == nil {
		o.free = freeBytes
	}
	if o.Agent == "" {
		o.Agent = "stargate"
	}
	c, err := newClient(o.Settings, o.Agent)
	if err != nil {
		return Snapshot{}, err
	}
	defer c.close()
	p := &pull{Options: o, client: c, name: n, done: map[string]int64{}}
	if err := p.run(ctx); err != nil {
		if old, gone := o.Cache.Resolve(n); errors.Is(err, ErrUnreached) && gone == nil {
			err = fmt.Errorf("%w; commit %s of it is in the cache: use it with --offline", err, old.Commit)
		}
		return Snapshot{}, err
	}
	return Snapshot{Name: n, Commit: p.commit, Dir: o.Cache.snapshot(n.Repo, p.commit)}, nil
}

// pull is one Pull.
type pull struct {
	Options
	client *client
	name   Name
	commit string

	mu    sync.Mutex
	done  map[string]int64 // bytes there, by file
	kept  int64
	total int64
}

func (p *pull) run(ctx context.Context) error {
	var all []entry
	err := retry(ctx, p.patience, p.Log, p.name.String(), func() (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, listingTime)
		defer cancel()
		var err error
		p.commit, all, err = p.client.list(ctx, p.name)
		return false, err
	})
	if err != nil {
		return err
	}
	if err := readable(p.name, all); err != nil {
		return err
	}
	texts, weights := textFiles(all), []entry(nil)
	// An index tells which weights there are.
	first := slices.IndexFunc(texts, func(f entry) bool { return f.Path == indexFile })
	var index []byte
	if first >= 0 {
		if err := p.files(ctx, texts[first:first+1], nil); err != nil {
			return err
		}
		if index, err = os.ReadFile(p.Cache.file(p.name.Repo, p.commit, indexFile)); err != nil {
			return diskProblem(p.Cache, err)
		}
	}
	if weights, err = weightFiles(all, index); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	// The small files come first: a snapshot that has its weights then has everything.
	if err := p.files(ctx, texts, weights); err != nil {
		return err
	}
	if err := p.files(ctx, weights, nil); err != nil {
		return err
	}
	return diskProblem(p.Cache, p.Cache.setRef(p.name, p.commit))
}

// files brings files that are not in the snapshot yet. Those that come later are counted.
func (p *pull) files(ctx context.Context, files, later []entry) error {
	missing, err := p.missing(files)
	if err != nil {
		return err
	}
	more, err := p.missing(later)
	if err != nil {
		return err
	}
	if len(missing) == 0 {
		return nil
	}
	if err := p.room(append(more, missing...)); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, f := range missing {
		g.Go(func() error { return p.file(ctx, f) })
	}
	return g.Wait()
}

// missing are the files of which the snapshot does not have all bytes.
func (p *pull) missing(files []entry) ([]entry, error) {
	var out []entry
	for _, f := range files {
		p.expect(f)
		info, err := os.Stat(p.Cache.file(p.name.Repo, p.commit, f.Path))
		switch {
		case err == nil && (f.Size < 0 || info.Size() == f.Size):
			p.keep(f, info.Size())
		case err == nil || errors.Is(err, fs.ErrNotExist):
			out = append(out, f)
		default:
			return nil, diskProblem(p.Cache, err)
		}
	}
	return out, nil
}

// room tells before hours of downloading that the disk is too small.
func (p *pull) room(missing []entry) error {
	blobs := filepath.Join(p.Cache.folder(p.name.Repo), "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return diskProblem(p.Cache, err)
	}
	var need int64
	for _, f := range missing {
		need += max(0, f.Size)
		if f.Sum == "" {
			continue
		}
		for _, path := range []string{p.Cache.blob(p.name.Repo, string(f.Sum)), p.Cache.incomplete(p.name.Repo, string(f.Sum))} {
			if info, err := os.Stat(path); err == nil {
				need -= min(info.Size(), f.Size)
			}
		}
	}
	if free, known := p.free(blobs); known && free < need {
		return fmt.Errorf("%w: %s needs %s more and %s has %s; free some space and repeat the command, what was downloaded is kept; or set HF_HUB_CACHE to a directory on another disk",
			ErrNoSpace, p.name, humanize.Bytes(uint64(need)), p.Cache, humanize.Bytes(uint64(free)))
	}
	return nil
}

// expect counts a file's bytes, once.
func (p *pull) expect(f entry) {
	if _, known := p.done[f.Path]; !known {
		p.done[f.Path] = 0
		p.total += max(0, f.Size)
	}
}

// keep counts bytes that need no download.
func (p *pull) keep(f entry, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept += n - p.done[f.Path]
	p.done[f.Path] = n
	p.tell("")
}

// got counts downloaded bytes; a negative number takes some back.
func (p *pull) got(f entry, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done[f.Path] += n
	p.tell("")
}

// finished tells that a file is complete.
func (p *pull) finished(f entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell(f.Path)
}

func (p *pull) tell(file string) {
	if p.Observe == nil {
		return
	}
	e := Event{File: file, Total: p.total, Kept: p.kept}
	for _, n := range p.done {
		e.Done += n
	}
	e.Total = max(e.Total, e.Done) // a server that gave no sizes
	e.Kept = min(e.Kept, e.Done)
	p.Observe(e)
}
