package tinker

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"stargate/internal/lora"
	"stargate/trainer"
)

// name is a name for something saved. It has a random end: a server keeps a name that it has
// seen, also when the answer was lost.
func (r *run) name(what string) string {
	var nonce [4]byte
	rand.Read(nonce[:]) // it never fails
	clean := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, r.job.Name)
	return fmt.Sprintf("%.40s-%s-%s", clean, what, hex.EncodeToString(nonce[:]))
}

// begin asks for weights to be saved. Whether a request whose answer was lost saved them does
// not matter, but the numbers of requests then have a gap, so that is errLost.
func (r *run) begin(ctx context.Context, route, name string) (future, error) {
	return r.send(ctx, route, saveRequest{r.model, name, r.next(), route}, harmful)
}

// save saves weights and returns their address.
func (r *run) save(ctx context.Context, route, name string) (string, error) {
	f, err := r.begin(ctx, route, name)
	if err != nil {
		return "", err
	}
	var at saveResult
	if err := r.result(ctx, f, &at); err != nil {
		return "", fmt.Errorf("%s: %w", route, err)
	}
	if at.Path == "" {
		return "", fmt.Errorf("%s: the server did not say where", route)
	}
	return at.Path, nil
}

// split takes an address apart: "tinker://MODEL/weights/NAME" is of run MODEL and checkpoint
// "weights/NAME".
func split(address string) (run, checkpoint string, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "tinker" || u.Host == "" || len(u.Path) < 2 {
		return "", "", fmt.Errorf("the server's address %q is not of the form tinker://MODEL/NAME", address)
	}
	return u.Host, u.Path[1:], nil
}

// discard removes a checkpoint that another one has replaced. A server that cannot is told about
// in a note: space runs out one day.
func (r *run) discard(ctx context.Context, address string) {
	if address == "" {
		return
	}
	id, checkpoint, err := split(address)
	if err == nil {
		err = r.ask(ctx, http.MethodDelete, "training_runs/"+id+"/checkpoints/"+checkpoint, nil, nil, harmless)
	}
	if err != nil && ctx.Err() == nil {
		r.note("Checkpoints that were replaced are still on the server, which did not remove them.")
	}
}

// fetch downloads the finished adapter and publishes it.
func (r *run) fetch(ctx context.Context) (trainer.Result, error) {
	made := r.work.Path("adapter")
	if err := os.RemoveAll(made); err != nil {
		return trainer.Result{}, err
	}
	if err := os.MkdirAll(made, 0o755); err != nil {
		return trainer.Result{}, err
	}
	address, err := r.archive(ctx)
	if err != nil {
		return trainer.Result{}, err
	}
	if err := r.download(ctx, address, made); err != nil {
		return trainer.Result{}, fmt.Errorf("download %s: %w", r.saved.Sampler, err)
	}
	if err := r.compare(made); err != nil {
		return trainer.Result{}, err
	}
	return r.work.Publish(made, trainer.Result{Log: r.saved.Log, Remote: r.saved.Sampler, Notes: r.saved.Notes})
}

// archive is where the adapter can be downloaded. The server packs it first, which takes a
// while: it answers 503 meanwhile, then a redirect or {"url"}.
func (r *run) archive(ctx context.Context) (*url.URL, error) {
	id, checkpoint, err := split(r.saved.Sampler)
	if err != nil {
		return nil, err
	}
	names := []string{checkpoint}
	if bare, ok := strings.CutPrefix(checkpoint, "sampler_weights/"); ok { // SkyRL's route takes a bare name
		names = append(names, bare)
	}
	for _, name := range names {
		route := "training_runs/" + id + "/checkpoints/" + name + "/archive"
		var a archiveAnswer
		err = r.ask(ctx, http.MethodGet, route, nil, &a, harmless)
		var s *statusError
		if errors.As(err, &s) && s.location != "" {
			a.URL, err = s.location, nil
		}
		if errors.Is(err, ErrMissing) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return r.base.JoinPath(route).Parse(a.URL)
	}
	return nil, fmt.Errorf("%w; the adapter is on the server as %s", err, r.saved.Sampler)
}

// The limits of an archive: an adapter of rank 256 for a model of 400 billion parameters has a
// few tens of GB.
const (
	mostArchive = 64 << 30
	mostFiles   = 1000
)

// download reads a tar file, with or without gzip, into dir.
func (r *run) download(ctx context.Context, from *url.URL, dir string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return err
	}
	if r.key != "" && from.Host == r.base.Host {
		q.Header.Set("X-API-Key", r.key)
	}
	c := *r.client.http
	c.Timeout = 0 // the context's
	ctx, cancel := context.WithTimeout(ctx, 6*time.Hour)
	defer cancel()
	a, err := c.Do(q.WithContext(ctx))
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(a.Body, 1000)) // only for the error's text
		return &statusError{code: a.StatusCode, text: detail(text)}
	}
	return unpack(a.Body, dir)
}

func unpack(from io.Reader, dir string) error {
	b := bufio.NewReader(from)
	var in io.Reader = b
	if magic, err := b.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return err
		}
		in = z
	}
	in = io.LimitReader(in, mostArchive)
	files := tar.NewReader(in)
	found := ""
	for n := 0; ; n++ {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("the archive: %w", err)
		}
		name := path.Clean(h.Name)
		switch {
		case n > mostFiles:
			return fmt.Errorf("the archive has more than %d files", mostFiles)
		case h.Typeflag == tar.TypeDir:
			continue
		case h.Typeflag != tar.TypeReg || !filepath.IsLocal(name):
			return fmt.Errorf("the archive holds %q, which is no plain file of its own", h.Name)
		}
		if path.Base(name) == lora.ConfigFile {
			found = path.Dir(name)
		}
		if err := write(filepath.Join(dir, filepath.FromSlash(name)), files); err != nil {
			return err
		}
	}
	if found == "" {
		return fmt.Errorf("the archive holds no %s", lora.ConfigFile)
	}
	return lift(dir, found)
}

func write(path string, from io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// lift moves the adapter's files from a folder of the archive to the top.
func lift(dir, folder string) error {
	if folder == "." {
		return nil
	}
	top, _, _ := strings.Cut(folder, "/")
	aside := dir + ".folder"
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, top), aside); err != nil {
		return err
	}
	defer os.RemoveAll(aside) // what is left in it is no part of the adapter
	_, rest, _ := strings.Cut(folder, "/")
	entries, err := os.ReadDir(filepath.Join(aside, rest))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(aside, rest, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// compare holds the adapter to what was asked for.
func (r *run) compare(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, lora.ConfigFile))
	if err != nil {
		return err
	}
	var c struct {
		Rank  int     `json:"r"`
		Alpha float64 `json:"lora_alpha"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("%s: %w", lora.ConfigFile, err)
	}
	want := r.job.Hyper.LoRA
	if c.Rank != want.Rank {
		return fmt.Errorf("the server's adapter has rank %d, not %d", c.Rank, want.Rank)
	}
	if c.Alpha != want.Alpha {
		r.note(fmt.Sprintf("The server scales adapters with alpha %g; the protocol cannot ask for %g.", c.Alpha, want.Alpha))
	}
	return nil
}
