"""How far apart the two views of an image are, by LPIPS; or why there is no number."""

from pathlib import Path

from phenoviews.job import reported
from phenoviews import values

with reported(snakemake.log[0]):
    if snakemake.input.weights:
        # Here, since a study without LPIPS need not wait for torch.
        from phenoviews.data.images import Images, white
        from phenoviews.data.pool import pool, with_statistics
        from phenoviews.measures.perceptual import distance, pairs
        from phenoviews.models.imagenet import located
        from phenoviews.models.weights import load_state
        from phenoviews.training.devices import claim

        weights, reason = located(snakemake.input.weights)
    else:
        weights, reason = None, "AlexNet's weights are not to be used (config: measures.lpips.weights is none)"
    if weights is None:
        values.write(snakemake.output[0], values.missing(snakemake.params.metrics, reason))
    else:
        device = claim()
        images = Images.open(Path(snakemake.input.images).parent)
        dataset, seed = with_statistics(images, snakemake.params.dataset), int(snakemake.wildcards.seed)
        views = pairs(
            pool(images, "test", device),
            dataset,
            snakemake.params.sets,
            snakemake.params.pair,
            seed,
            white=white(images, "test"),
        )
        values.write(snakemake.output[0], distance(views, load_state(weights), snakemake.params.composites, device))
