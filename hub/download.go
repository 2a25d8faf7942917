package hub

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"time"
)

// file brings one file into the snapshot, in as many attempts as it takes.
func (p *pull) file(ctx context.Context, f entry) error {
	damaged := 0
	err := retry(ctx, p.patience, p.Log, f.Path, func() (bool, error) {
		before := p.bytes(f)
		err := p.attempt(ctx, f)
		if errors.Is(err, ErrChecksum) {
			if damaged++; damaged == 1 { // the beginning may be an old one
				return true, &transient{err: err}
			}
			return false, fmt.Errorf("%w, twice; something on the way changes it: try another network, or another HF_ENDPOINT", err)
		}
		return p.bytes(f) > before, err
	})
	if err == nil {
		p.finished(f)
	}
	return err
}

func (p *pull) bytes(f entry) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done[f.Path]
}

// attempt asks what the file is now, and brings what is missing of it.
func (p *pull) attempt(ctx context.Context, f entry) (err error) {
	m, err := p.client.head(ctx, p.name, p.commit, f)
	if err != nil {
		return err
	}
	sum := digest(m.etag)
	switch {
	case f.Sum != "" && sum.valid() && len(sum) == len(f.Sum) && sum != f.Sum:
		return &transient{err: fmt.Errorf("%s: the Hub lists checksum %s and serves %s", f.Path, f.Sum, sum)}
	case f.Sum != "":
		sum = f.Sum
	case !sum.valid():
		return fmt.Errorf("%s gives no checksum for %s (ETag %q), so it cannot be trusted; use another HF_ENDPOINT", p.Endpoint, f.Path, m.etag)
	}
	repo := p.name.Repo
	unlock, err := lock(ctx, p.Cache.lockFile(repo, m.etag), p.Log)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return diskProblem(p.Cache, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if info, err := os.Stat(p.Cache.blob(repo, m.etag)); err == nil && info.Size() == m.size {
		p.keep(f, m.size)
	} else if err := p.receive(ctx, f, m, sum); err != nil {
		return err
	}
	return diskProblem(p.Cache, p.Cache.link(repo, p.commit, f.Path, m.etag))
}

// receive makes a blob: what an incomplete one holds, then the rest, checked as a whole.
func (p *pull) receive(ctx context.Context, f entry, m meta, sum digest) error {
	path := p.Cache.incomplete(p.name.Repo, m.etag)
	out, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return diskProblem(p.Cache, err)
	}
	part := &partial{file: out, size: m.size, sum: sum, told: func(n int64) { p.got(f, n) }}
	err = part.read()
	if err == nil {
		p.keep(f, part.have)
		err = p.rest(ctx, f, part)
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		if errors.Is(err, ErrChecksum) {
			p.got(f, -part.have)
			return errors.Join(err, os.Remove(path))
		}
		return p.local(err)
	}
	return p.local(os.Rename(path, p.Cache.blob(p.name.Repo, m.etag)))
}

// local explains an error of the disk and passes on those of the server.
func (p *pull) local(err error) error {
	var t *transient
	var disk *os.PathError
	var link *os.LinkError
	if !errors.As(err, &t) && (errors.As(err, &disk) || errors.As(err, &link)) {
		return diskProblem(p.Cache, err)
	}
	return err
}

// rest downloads from where an incomplete blob ends, and checks the whole.
func (p *pull) rest(ctx context.Context, f entry, part *partial) error {
	if part.have < part.size {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		a, err := p.client.get(ctx, p.name, p.commit, f, part.have)
		if err != nil {
			return err
		}
		defer a.Body.Close()
		switch {
		case a.StatusCode == http.StatusOK: // the whole file, whether asked for or not
			if err := part.restart(); err != nil {
				return err
			}
		case a.StatusCode == http.StatusRequestedRangeNotSatisfiable, a.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", part.have, part.size-1, part.size):
			err := &transient{err: fmt.Errorf("%s: asked for bytes from %d of %d on, the server gives %q", f.Path, part.have, part.size, a.Header.Get("Content-Range"))}
			if err := part.restart(); err != nil {
				return err
			}
			return err
		}
		silence := time.AfterFunc(p.patience.stall, func() { cancel(errStalled) })
		defer silence.Stop()
		err = part.copy(&awake{a.Body, silence, p.patience.stall})
		if errors.Is(context.Cause(ctx), errStalled) {
			err = &transient{err: fmt.Errorf("%s: %w", f.Path, errStalled)}
		}
		if err != nil {
			return err
		}
	}
	return part.check(f.Path)
}

// partial is the beginning of a blob and its checksum so far.
type partial struct {
	file *os.File
	size int64 // of the whole
	sum  digest
	told func(n int64) // hears of every byte that comes or goes

	have int64
	hash hash.Hash
}

// read takes in what an earlier pull left.
func (b *partial) read() error {
	b.hash = b.sum.summer(b.size)
	n, err := io.Copy(b.hash, io.LimitReader(b.file, b.size+1))
	if err != nil {
		return err
	}
	if n > b.size {
		return b.empty()
	}
	b.have = n
	return nil
}

// restart forgets it.
func (b *partial) restart() error {
	if b.have == 0 {
		return nil
	}
	b.told(-b.have)
	return b.empty()
}

func (b *partial) empty() error {
	b.have, b.hash = 0, b.sum.summer(b.size)
	if err := b.file.Truncate(0); err != nil {
		return err
	}
	_, err := b.file.Seek(0, io.SeekStart)
	return err
}

// copy appends what comes. A connection that ends early is transient, a disk that takes no
// more is not.
func (b *partial) copy(in io.Reader) error {
	buffer := make([]byte, 256<<10)
	for {
		n, err := in.Read(buffer)
		if n > 0 {
			if b.have+int64(n) > b.size {
				return fmt.Errorf("%w: the server sends more than the %d bytes it announced", ErrChecksum, b.size)
			}
			if _, err := b.file.Write(buffer[:n]); err != nil {
				return err
			}
			b.hash.Write(buffer[:n])
			b.have += int64(n)
			b.told(int64(n))
		}
		switch {
		case err == io.EOF && b.have < b.size, err != nil && err != io.EOF:
			if errors.Is(err, context.Canceled) {
				return err
			}
			return &transient{err: fmt.Errorf("the connection was cut after %d of %d bytes", b.have, b.size)}
		case err == io.EOF:
			return nil
		}
	}
}

// check compares the whole with its checksum.
func (b *partial) check(name string) error {
	if got := sumOf(b.hash); got != b.sum {
		return fmt.Errorf("%w: %s has checksum %s and should have %s", ErrChecksum, name, got, b.sum)
	}
	return nil
}

// awake pushes an alarm off whenever something comes.
type awake struct {
	io.Reader
	alarm *time.Timer
	after time.Duration
}

func (a *awake) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if n > 0 {
		a.alarm.Reset(a.after)
	}
	return n, err
}
