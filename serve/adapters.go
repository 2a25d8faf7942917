package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"stargate/lm/local"
)

// adapters are the LoRA adapters that clients have loaded for the server's model. Each is a
// model with a name of its own that shares the base model's weights; what it takes is the
// adapter's numbers twice, and keys and values as it is used.
type adapters struct {
	base *local.Model
	dirs []string // where adapters may lie, absolute
	most int      // loaded at once
	rank int      // the highest
	turn chan struct{}

	mu     sync.Mutex
	loaded []*adapter // what requests find, oldest first
	open   []*adapter // those, and unloaded ones that requests still use
	gone   local.Stats
	closed bool
}

// adapter is one of them.
type adapter struct {
	name, root string // root is the path as the client gave it
	created    int64
	model      *local.Model
	users      int // requests in flight
	unloaded   bool
}

func newAdapters(base *local.Model, o Options) *adapters {
	a := &adapters{base: base, most: o.Limits.Adapters, rank: o.Limits.AdapterRank, turn: make(chan struct{}, 1)}
	for _, dir := range o.AdapterDirs {
		if abs, err := filepath.Abs(dir); err == nil { // fails only without a working directory
			dir = abs
		}
		a.dirs = append(a.dirs, dir)
	}
	return a
}

// load opens the adapter at path under a name; it takes the place of one of the same name
// where replace says so, and requests in flight go on with that.
func (a *adapters) load(ctx context.Context, name, path string, replace bool) error {
	dir, err := a.find(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	select {
	case a.turn <- struct{}{}: // one at a time: opening takes memory before it is checked
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := a.admit(name, replace); err != nil {
		return err
	}
	model, err := a.base.OpenAdapter(dir.FS(), a.rank)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &failure{status: 404, param: "lora_path", code: "adapter_not_found", message: fmt.Sprintf("%s is no adapter directory: %v", path, err)}
	case errors.Is(err, local.ErrClosed):
		return err
	case err != nil:
		return &failure{status: 400, param: "lora_path", code: "invalid_adapter", message: fmt.Sprintf("%s: %v", path, err)}
	}
	x := &adapter{name: name, root: path, created: time.Now().Unix(), model: model}
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		model.Close()
		return local.ErrClosed
	}
	old := a.take(name)
	a.loaded, a.open = append(a.loaded, x), append(a.open, x)
	a.mu.Unlock()
	a.retire(old)
	return nil
}

// admit says whether another adapter may be loaded under a name.
func (a *adapters) admit(name string, replace bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	exists := slices.ContainsFunc(a.loaded, func(x *adapter) bool { return x.name == name })
	switch {
	case a.closed:
		return local.ErrClosed
	case exists && !replace:
		return &failure{status: 400, param: "lora_name", code: "adapter_exists", message: fmt.Sprintf("the adapter %q is loaded already; take a new name, unload it first, or set load_inplace to true", name)}
	case !exists && len(a.loaded) >= a.most:
		return &failure{status: 400, param: "lora_name", code: "too_many_adapters", message: fmt.Sprintf("%d adapters are loaded, which is this server's limit; unload one first", a.most)}
	}
	return nil
}

// find opens the directory at path, which has to lie below an allowed one: also where it is
// reached through a symbolic link.
func (a *adapters) find(path string) (*os.Root, error) {
	missing := &failure{status: 403, param: "lora_path", code: "path_not_allowed", message: fmt.Sprintf("%s is not below a directory that this server may load adapters from", path)}
	for _, allowed := range a.dirs {
		inside := filepath.FromSlash(path)
		if filepath.IsAbs(inside) {
			var err error
			if inside, err = filepath.Rel(allowed, inside); err != nil {
				continue
			}
		}
		if !filepath.IsLocal(inside) {
			continue
		}
		// From here on the path is allowed as it is spelt: an error may tell what is there.
		missing = &failure{status: 404, param: "lora_path", code: "adapter_not_found", message: fmt.Sprintf("there is no directory %s below those that this server may load adapters from", path)}
		root, err := os.OpenRoot(allowed)
		if err != nil {
			continue // the next may have it
		}
		dir, err := root.OpenRoot(inside)
		if err = errors.Join(err, root.Close()); err == nil {
			return dir, nil
		}
	}
	return nil, missing
}

// unload takes an adapter away from new requests. Those in flight end with it.
func (a *adapters) unload(name string) error {
	a.mu.Lock()
	x := a.take(name)
	a.mu.Unlock()
	if x == nil {
		return &failure{status: 404, param: "lora_name", code: "adapter_not_found", message: fmt.Sprintf("there is no adapter %q", name)}
	}
	a.retire(x)
	return nil
}

// take removes an adapter from those that requests find; nil if there is none. a.mu is held.
func (a *adapters) take(name string) *adapter {
	i := slices.IndexFunc(a.loaded, func(x *adapter) bool { return x.name == name })
	if i < 0 {
		return nil
	}
	x := a.loaded[i]
	a.loaded = slices.Delete(a.loaded, i, i+1)
	x.unloaded = true
	return x
}

// use is the adapter of a request until release; nil if there is none.
func (a *adapters) use(name string) *adapter {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range a.loaded {
		if x.name == name {
			x.users++
			return x
		}
	}
	return nil
}

func (a *adapters) release(x *adapter) {
	a.mu.Lock()
	x.users--
	a.mu.Unlock()
	a.retire(x)
}

// retire ends an unloaded adapter that no request uses any more.
func (a *adapters) retire(x *adapter) {
	a.mu.Lock()
	over := x != nil && x.unloaded && x.users == 0
	a.mu.Unlock()
	if over { // for good: nobody finds it to use it again
		a.end(x)
	}
}

// end closes an adapter's model and keeps its counts.
func (a *adapters) end(x *adapter) {
	x.model.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.open, x); i >= 0 { // else another goroutine was first
		a.open = slices.Delete(a.open, i, i+1)
		a.gone = a.gone.Plus(x.model.Stats())
	}
}

// close ends all adapters; requests in flight fail.
func (a *adapters) close() {
	a.mu.Lock()
	a.closed, a.loaded = true, nil
	open := slices.Clone(a.open)
	a.mu.Unlock()
	for _, x := range open {
		a.end(x)
	}
}

// list is what is loaded, oldest first.
func (a *adapters) list() []adapter {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]adapter, len(a.loaded))
	for i, x := range a.loaded {
		out[i] = *x
	}
	return out
}

// stats counts what the base model and all adapters there were have done.
func (a *adapters) stats() local.Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	// What is over runs nothing and holds nothing.
	gone := a.gone
	gone.Running, gone.Queued, gone.Pages, gone.Memory = 0, 0, 0, 0
	total := gone.Plus(a.base.Stats())
	for _, x := range a.open {
		total = total.Plus(x.model.Stats())
	}
	return total
}
