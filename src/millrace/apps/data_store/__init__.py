"""The Data store app: records that are kept between executions."""
