package eval

import "stargate/eval/judge"

// What a run needs of package judge to give an [Input] its judge.
type (
	Judge       = judge.Judge
	Rubric      = judge.Rubric
	RubricJudge = judge.RubricJudge
	ModelJudge  = judge.ModelJudge
)
