package report

// The paper's numbers (PROTOCOL §8; figures 3, 4 and 5 of the paper), printed beside
// those of a run. They are of another world and other models: only their shape compares.

// paperLogProb are mean gold log-probabilities in nats on the test split, m0 to m3.
var paperLogProb = map[string][]float64{
	"qa":      {-359.8, -350.9, -344.7, -339.2},
	"rand":    {-370.0, -363.5, -359.7, -356.2},
	"neg":     {-367.5},
	"pos":     {-267.5},
	"pos+qa":  {-299.9, -293.7, -289.6, -286.0},
	"qa/top1": {-331.3, -321.2, -312.0, -305.0},
}

// paperLogProbAblation are the Q-experimental values of the training ablations.
var paperLogProbAblation = map[string][]float64{
	"w/o regularization": {-359.8, -352.3, -346.6, -342.3},
	"w/ gold response":   {-359.8, -349.3, -342.0, -336.6},
}

// paperWinRate are win rates against m0 of m1 to m3; their SEM is about paperWinRateSEM.
var paperWinRate = []struct {
	name  string
	rates []float64
}{
	{"STaR-GATE", []float64{.682, .727, .704}},
	{"w/o regularization", []float64{.224, .226, .230}},
	{"w/ gold response", []float64{.432, .482, .482}},
	{"Q_BASE answers", []float64{.542, .571, .495}},
	{"Roleplayer mistral-7b", []float64{.658, .657, .604}},
	{"Roleplayer gemma-7b", []float64{.628, .608, .598}},
}

const paperWinRateSEM = 0.027

// paperGap is Q-experimental minus Q-random at model m_i.
func paperGap(i int) float64 { return paperLogProb["qa"][i] - paperLogProb["rand"][i] }

// paperEvalLoss are held-out losses of m1 to m3 after training, in nats per token.
var paperEvalLoss = []float64{.443, .381, .318}

// shapes are the claims of PROTOCOL §8 in the words of the page, as eval.Shapes judges them.
var shapes = map[string]string{
	"a": "Gold log-probability under Q-experimental rises with every iteration, under Q-random less, and the gap between the two widens",
	"b": "Win rate over m0 is well above ½ from the first iteration on",
	"c": "Without regularisation the win rate is far below ½",
	"d": "Training on the gold response: log-probability no lower than the main run’s by more than a standard error, and a lower win rate (the paper: at most ½)",
	"e": "The base model answering on the new model’s conversations wins more than half (the paper: slightly more)",
	"f": "Weaker roleplayers lower the win rate a little",
}
