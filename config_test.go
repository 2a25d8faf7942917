package stargate

import (
	"strings"
	"testing"

	"stargate/lm"
)

// What cannot work is refused before the first model call, with the field's name.
func TestConfigValidate(t *testing.T) {
	if err := Paper().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Config){
		"iterations":           func(c *Config) { c.Iterations = 0 },
		"samples":              func(c *Config) { c.Samples = 0 },
		"max_turns":            func(c *Config) { c.MaxTurns = 0 },
		"top_k is 11":          func(c *Config) { c.TopK = 11 },
		"redraws":              func(c *Config) { c.Redraws = -1 },
		"train_on":             func(c *Config) { c.TrainOn = "answers" },
		"questioner: top_p":    func(c *Config) { c.Questioner.TopP = 1.5 },
		"roleplayer: max_tok":  func(c *Config) { c.Roleplayer.MaxTokens = 0 },
		"response: temperatur": func(c *Config) { c.Response.Temperature = 0.7 },
		"learning_rate":        func(c *Config) { c.Tune.LearningRate = 0 },
		"lora":                 func(c *Config) { c.Tune.LoRA = &lm.LoRA{Rank: 8} },
	} {
		c := Paper()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
}
