package llama

import "testing"

// variant is a config with one or more of its switches set.
type variant struct {
	name   string
	config Config
}

// variants are a shape in every family and with every switch, windows shorter and longer than
// a page and a block of queries among them.
func variants(shape Config) []variant {
	first := 1
	switches := []struct {
		name string
		set  func(c *Config)
	}{
		{"llama", func(*Config) {}},
		{"llama tied", func(c *Config) { c.TieWordEmbeddings = true }},
		{"llama attention_bias", func(c *Config) { c.AttentionBias = true }},
		{"llama rope linear", func(c *Config) { c.RopeScaling = &RopeScaling{Type: "linear", Factor: 3} }},
		{"llama rope dynamic", func(c *Config) { c.RopeScaling = &RopeScaling{Type: "dynamic", Factor: 3} }},
		{"llama rope llama3", func(c *Config) {
			c.RopeScaling = &RopeScaling{Type: "llama3", Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPositionEmbeddings: 50}
		}},
		{"llama rope yarn", func(c *Config) {
			c.RopeScaling = &RopeScaling{Type: "yarn", Factor: 4, OriginalMaxPositionEmbeddings: 1000}
		}},
		{"mistral window 5", func(c *Config) { c.ModelType, c.SlidingWindow = "mistral", 5 }},
		{"mistral window 16", func(c *Config) { c.ModelType, c.SlidingWindow = "mistral", 16 }},
		{"mistral window 71", func(c *Config) { c.ModelType, c.SlidingWindow = "mistral", 71 }},
		{"qwen2", func(c *Config) { c.ModelType, c.SlidingWindow = "qwen2", 4 }},
		{"qwen2 window", func(c *Config) {
			c.ModelType, c.SlidingWindow, c.UseSlidingWindow, c.MaxWindowLayers = "qwen2", 23, true, &first
		}},
		{"qwen3", func(c *Config) { c.ModelType = "qwen3" }},
		{"qwen3 window, bias, yarn", func(c *Config) {
			c.ModelType, c.SlidingWindow, c.UseSlidingWindow, c.AttentionBias = "qwen3", 33, true, true
			for i := range c.NumHiddenLayers {
				c.LayerTypes = append(c.LayerTypes, []string{slidingAttention, fullAttention}[i%2])
			}
			c.RopeScaling = &RopeScaling{Type: "yarn", Factor: 2}
		}},
	}
	var vs []variant
	for _, s := range switches {
		c := shape
		c.ModelType = "llama"
		s.set(&c)
		vs = append(vs, variant{s.name, c})
	}
	return vs
}

// A switch that the test's config does not reach would be a test of nothing.
func TestEverySwitchChangesTheResult(t *testing.T) {
	s := awkwardBatch()[4]
	loss := func(c Config) float64 {
		m := randomModel(t, c)
		sum, _, err := newTrainer(t, m, 1).Loss([]Sequence{s})
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	plain := loss(awkward)
	for _, v := range variants(awkward)[1:] {
		if same := loss(v.config) == plain; same != (v.name == "llama rope dynamic") {
			t.Errorf("%s: the loss of the plain model: %v", v.name, same)
		}
	}
}

func TestWindows(t *testing.T) {
	c := awkward
	c.NumHiddenLayers, c.SlidingWindow = 4, 10
	two := 2
	for _, x := range []struct {
		name string
		set  func(c *Config)
		want [4]int
	}{
		{"llama has none", func(*Config) {}, [4]int{}},
		{"mistral in every layer", func(c *Config) { c.ModelType = "mistral" }, [4]int{10, 10, 10, 10}},
		{"as long as the context", func(c *Config) { c.ModelType, c.SlidingWindow = "mistral", 256 }, [4]int{}},
		{"qwen without use_sliding_window", func(c *Config) { c.ModelType, c.MaxWindowLayers = "qwen2", &two }, [4]int{}},
		{"qwen from max_window_layers on", func(c *Config) { c.ModelType, c.UseSlidingWindow, c.MaxWindowLayers = "qwen2", true, &two }, [4]int{0, 0, 10, 10}},
		{"qwen's default for max_window_layers", func(c *Config) { c.ModelType, c.UseSlidingWindow = "qwen3", true }, [4]int{}},
		{"layer_types", func(c *Config) {
			c.ModelType, c.UseSlidingWindow = "qwen3", true
			c.LayerTypes = []string{fullAttention, slidingAttention, fullAttention, slidingAttention}
		}, [4]int{0, 10, 0, 10}},
	} {
		c := c
		x.set(&c)
		if err := c.WithDefaults().Validate(); err != nil {
			t.Errorf("%s: %v", x.name, err)
		}
		for layer, want := range x.want {
			if got := c.window(layer); got != want {
				t.Errorf("%s: window of layer %d is %d, want %d", x.name, layer, got, want)
			}
		}
	}
}

func TestContext(t *testing.T) {
	for _, x := range []struct {
		r    *RopeScaling
		want int
	}{
		{nil, 256},
		{&RopeScaling{Type: "linear", Factor: 2.5}, 640},
		{&RopeScaling{Type: "dynamic", Factor: 4}, 256},
		{&RopeScaling{Type: "llama3", Factor: 8, OriginalMaxPositionEmbeddings: 32}, 256},
		{&RopeScaling{Type: "yarn", Factor: 4}, 1024},
		{&RopeScaling{Type: "yarn", Factor: 4, OriginalMaxPositionEmbeddings: 64}, 256},
		{&RopeScaling{Type: "yarn", Factor: 4, OriginalMaxPositionEmbeddings: 256}, 1024},
	} {
		c := awkward
		c.RopeScaling = x.r
		if got := c.Context(); got != x.want {
			t.Errorf("%+v: context %d, want %d", x.r, got, x.want)
		}
	}
}

func TestNumParams(t *testing.T) {
	for _, v := range variants(awkward) {
		m, n := randomModel(t, v.config), 0
		for _, p := range m.Params() {
			n += len(p.Data)
		}
		if got := m.Config.NumParams(); got != n {
			t.Errorf("%s: NumParams %d, the tensors have %d elements", v.name, got, n)
		}
	}
}
