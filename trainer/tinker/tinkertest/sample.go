package tinkertest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"testing/fstest"

	"stargate/lm"
	"stargate/lm/local"
)

// sample draws one completion from a sampler's adapter. What ends a turn is returned with the
// tokens, as vLLM does.
func (s *Server) sample(b body) (any, error) {
	rest, ok := strings.CutPrefix(b.ModelPath, "tinker://")
	id, name, _ := strings.Cut(rest, "/")
	data, there := s.samplers[id+"/"+strings.TrimPrefix(name, "sampler_weights/")]
	switch {
	case !ok || !there:
		return nil, fail(http.StatusNotFound, "Checkpoint not found: %s", b.ModelPath)
	case b.Samples != 1 || len(b.Prompt.Chunks) != 1 || b.Sampling.MaxTokens < 1 || len(b.Sampling.Stop) == 0:
		return nil, fail(http.StatusUnprocessableEntity, "want one sample of one chunk, with max_tokens and stop")
	case b.Sampling.Seed > 1<<31-1:
		return nil, fail(http.StatusUnprocessableEntity, "seed %d", b.Sampling.Seed)
	}
	m := s.opened[b.ModelPath]
	if m == nil {
		files, err := unpack(data)
		if err != nil {
			return nil, err
		}
		if m, err = s.Policy(files); err != nil {
			return nil, err
		}
		s.opened[b.ModelPath] = m
	}
	want := lm.Sampling{Temperature: b.Sampling.Temperature, TopP: b.Sampling.TopP, TopK: max(b.Sampling.TopK, 0), MaxTokens: b.Sampling.MaxTokens, Seed: b.Sampling.Seed}
	c, err := m.Continue(s.ctx, local.Request{Prompt: b.Prompt.Chunks[0].Tokens, Sampling: want, StopTokens: b.Sampling.Stop})
	if err != nil {
		return nil, err
	}
	var ids []int32
	for _, d := range c.Drawn {
		ids = append(ids, d.ID)
	}
	id = s.future(map[string]any{"sequences": []any{map[string]any{"tokens": ids, "stop_reason": c.Finish}}}, nil)
	return map[string]string{"request_id": id, "future_id": id}, nil
}

// unpack reads an adapter's archive.
func unpack(data []byte) (fs.FS, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	files := fstest.MapFS{}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(t)
		if err != nil {
			return nil, err
		}
		files[path.Clean(h.Name)] = &fstest.MapFile{Data: text}
	}
}
