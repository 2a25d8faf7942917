package llama

import (
	"reflect"
	"slices"
	"testing"
	"testing/fstest"

	"stargate/internal/safetensors"
)

func TestFilesRoundTrip(t *testing.T) {
	for _, name := range fixtures(t) {
		_, m := loadFixture(t, name)
		files, err := m.Files(safetensors.F32)
		if err != nil {
			t.Fatal(err)
		}
		dir := fstest.MapFS{}
		for n, data := range files {
			dir[n] = &fstest.MapFile{Data: data}
		}
		got, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Flat(), m.Flat()) {
			t.Errorf("%s: weights changed", name)
		}
		if !reflect.DeepEqual(got.Config.Architectures, []string{m.Config.family().architecture}) {
			t.Errorf("%s: written as %v", name, got.Config.Architectures)
		}
		got.Config.Architectures, got.Config.TorchDtype = nil, ""
		if !reflect.DeepEqual(got.Config, m.Config) {
			t.Errorf("%s: config changed:\n%+v\n%+v", name, got.Config, m.Config)
		}
	}
}
